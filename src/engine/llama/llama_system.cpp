#include "engine/llama/llama_system.h"

#include <algorithm>
#include <sstream>
#include <string_view>
#include <thread>
#include <utility>

#include <ggml-backend.h>
#include <ggml.h>
#include <llama.h>
#include <sched.h>

#include "engine/llama/llama_log.h"

namespace escribano::engine {
namespace {

// From "CPU : AVX = 1 | AVX2 = 1 | OPENMP = 1 | ", what makes a difference of speed: the newest of each kind.
std::vector<std::string> instructions_of(std::string_view system_info) {
  std::vector<std::string> found;
  std::istringstream words{std::string(system_info)};
  std::string before;
  std::string last;
  for (std::string word; words >> word; before = std::exchange(last, word)) {
    if (word != "1" || last != "=") continue;
    constexpr std::string_view kThatMatter[] = {"AVX2",        "FMA",         "F16C",     "AVX_VNNI", "AVX512",
                                                "AVX512_VNNI", "AVX512_BF16", "AMX_INT8", "AMX_BF16", "NEON",
                                                "MATMUL_INT8", "SVE",         "DOTPROD",  "SME"};
    if (std::find(std::begin(kThatMatter), std::end(kThatMatter), before) != std::end(kThatMatter)) {
      found.push_back(before);
    }
  }
  return found;
}

}  // namespace

int usable_processors() {
#ifdef __linux__
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

LlamaSystem llama_system() {
  capture_llama_log();
  LlamaSystem system;
  system.version = llama_version();
  system.ggml_version = ggml_version();
  system.instructions = instructions_of(llama_print_system_info());
  system.usable_processors = usable_processors();
  for (std::size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    ggml_backend_dev_t device = ggml_backend_dev_get(i);
    switch (ggml_backend_dev_type(device)) {
      case GGML_BACKEND_DEVICE_TYPE_CPU: system.processor = ggml_backend_dev_description(device); break;
      case GGML_BACKEND_DEVICE_TYPE_GPU:
      case GGML_BACKEND_DEVICE_TYPE_IGPU: system.gpus.emplace_back(ggml_backend_dev_description(device)); break;
      default: break;
    }
  }
  return system;
}

}  // namespace escribano::engine
