#include "engine/llama/llama_log.h"

#include <mutex>
#include <string_view>

#include <llama.h>
#include <mtmd.h>

#include "base/log.h"

namespace escribano::engine {
namespace {

thread_local std::string last_error;

void on_log(ggml_log_level level, const char* text, void*) {
  std::string_view line(text);
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.remove_suffix(1);
  if (line.empty() || line == ".") return;
  if (level == GGML_LOG_LEVEL_ERROR) last_error = line;
  log::write(log::Level::debug, line);
}

}  // namespace

void capture_llama_log() {
  static std::once_flag once;
  std::call_once(once, [] {
    llama_log_set(on_log, nullptr);
    mtmd_log_set(on_log, nullptr);
  });
}

std::string take_llama_error() {
  std::string taken;
  taken.swap(last_error);
  return taken;
}

}  // namespace escribano::engine
