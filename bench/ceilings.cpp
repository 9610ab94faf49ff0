// What this machine can do at most: multiplications and additions per second by kind of number, and bytes read from
// memory per second, on 1 thread and on N. What a model takes is judged against these (bench/peers.py).
//
//   build/release/bin/ceilings --threads 2
//
// Kernels keep all operands in registers and are written for x86-64 and arm64; what the processor lacks is left out.
#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kRun(200);
constexpr int kRuns = 3;                         // of which the best counts: others may be at work on the machine
constexpr int kRounds = 10'000;                  // of a kernel between two looks at the clock
constexpr int kChains = 12;                      // independent sums, which hide the latency of an instruction
constexpr std::size_t kSliceBytes = 256U << 20;  // that a thread reads: far beyond its caches

// A kernel does kRounds * kChains vector instructions. The empty assembly makes the compiler believe that the result is used.
#if defined(__x86_64__)
__attribute__((target("avx512f"))) void fma_avx512(float seed) {
  __m512 sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = _mm512_set1_ps(seed + static_cast<float>(i));
  const __m512 factor = _mm512_set1_ps(seed);
  for (int round = 0; round < kRounds; ++round) {
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(sum, factor, factor);
  }
  for (int i = 1; i < kChains; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  asm volatile("" : : "v"(sums[0]));
}

__attribute__((target("avx2,fma"))) void fma_avx2(float seed) {
  __m256 sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = _mm256_set1_ps(seed + static_cast<float>(i));
  const __m256 factor = _mm256_set1_ps(seed);
  for (int round = 0; round < kRounds; ++round) {
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(sum, factor, factor);
  }
  for (int i = 1; i < kChains; ++i) sums[0] = _mm256_add_ps(sums[0], sums[i]);
  asm volatile("" : : "x"(sums[0]));
}

__attribute__((target("avx512f,avx512bw,avx512bf16"))) void dot_bf16(float seed) {
  __m512 sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = _mm512_set1_ps(seed + static_cast<float>(i));
  const __m512bh factor = _mm512_cvtne2ps_pbh(sums[0], sums[1]);
  for (int round = 0; round < kRounds; ++round) {
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, factor, factor);
  }
  for (int i = 1; i < kChains; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  asm volatile("" : : "v"(sums[0]));
}

__attribute__((target("avx512f,avx512vnni"))) void dot_int8(float seed) {
  __m512i sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = _mm512_set1_epi32(static_cast<int>(seed) + i);
  const __m512i factor = _mm512_set1_epi8(static_cast<char>(seed));
  for (int round = 0; round < kRounds; ++round) {
    for (__m512i& sum : sums) sum = _mm512_dpbusd_epi32(sum, factor, factor);
  }
  for (int i = 1; i < kChains; ++i) sums[0] = _mm512_add_epi32(sums[0], sums[i]);
  asm volatile("" : : "v"(sums[0]));
}
#elif defined(__aarch64__)
void fma_neon(float seed) {
  float32x4_t sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = vdupq_n_f32(seed + static_cast<float>(i));
  const float32x4_t factor = vdupq_n_f32(seed);
  for (int round = 0; round < kRounds; ++round) {
    for (float32x4_t& sum : sums) sum = vfmaq_f32(sum, factor, factor);
  }
  for (int i = 1; i < kChains; ++i) sums[0] = vaddq_f32(sums[0], sums[i]);
  asm volatile("" : : "w"(sums[0]));
}
#endif

struct Kernel {
  const char* name = nullptr;  // also the key in JSON
  void (*run)(float) = nullptr;
  int operations = 0;  // of one vector instruction; a multiplication and an addition are two
};

// The kernels that this processor has.
std::vector<Kernel> kernels() {
  std::vector<Kernel> found;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) {
    found.push_back({"fp32", fma_avx512, 2 * 16});
  } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    found.push_back({"fp32", fma_avx2, 2 * 8});
  }
  if (__builtin_cpu_supports("avx512bf16")) found.push_back({"bf16", dot_bf16, 2 * 32});
  if (__builtin_cpu_supports("avx512vnni")) found.push_back({"int8", dot_int8, 2 * 64});
#elif defined(__aarch64__)
  found.push_back({"fp32", fma_neon, 2 * 4});
#endif
  return found;
}

// `work` again and again on every thread, from one start; what it returns is summed up, per second.
template <class Work>
double per_second(int threads, const Work& work) {
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    std::barrier start(threads);
    std::vector<double> rates(static_cast<std::size_t>(threads));
    std::vector<std::thread> workers;
    for (std::size_t i = 0; i < rates.size(); ++i) {
      workers.emplace_back([&, i] {
        start.arrive_and_wait();
        const auto begin = Clock::now();
        double amount = 0;
        do amount += work(i);
        while (Clock::now() - begin < kRun);
        rates[i] = amount / std::chrono::duration<double>(Clock::now() - begin).count();
      });
    }
    for (std::thread& worker : workers) worker.join();
    double sum = 0;
    for (const double rate : rates) sum += rate;
    best = std::max(best, sum);
  }
  return best;
}

double operations_per_second(const Kernel& kernel, int threads) {
  return per_second(threads, [&](std::size_t thread) {
    kernel.run(0.5F + static_cast<float>(thread));
    return static_cast<double>(kernel.operations) * kChains * kRounds;
  });
}

// Every thread reads a slice of its own.
double bytes_per_second(int threads) {
  constexpr std::size_t words = kSliceBytes / sizeof(std::uint64_t);
  const std::vector<std::uint64_t> memory(words * static_cast<std::size_t>(threads), 1);
  return per_second(threads, [&](std::size_t thread) {
    const std::uint64_t* at = memory.data() + thread * words;
    std::uint64_t sums[8] = {};
    for (std::size_t i = 0; i < words; i += 8) {
      for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += at[i + lane];
    }
    for (const std::uint64_t sum : sums) asm volatile("" : : "r"(sum) : "memory");  // read again the next time
    return static_cast<double>(kSliceBytes);
  });
}

nlohmann::json measure(int threads) {
  nlohmann::json row = {{"threads", threads}};
  for (const Kernel& kernel : kernels()) {
    row[fmt::format("{}_gop_s", kernel.name)] = operations_per_second(kernel, threads) / 1e9;
  }
  row["memory_gb_s"] = bytes_per_second(threads) / 1e9;
  return row;
}

std::string cell(const nlohmann::json& row, const char* key) {
  return row.contains(key) ? fmt::format("{:.1f}", row.at(key).get<double>()) : "-";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The most that this machine computes and reads in a second");
  int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  bool as_json = false;
  app.add_option("--threads", threads)->check(CLI::Range(1, 1024))->capture_default_str();
  app.add_flag("--json", as_json);
  CLI11_PARSE(app, argc, argv);
  nlohmann::json rows = nlohmann::json::array({measure(1)});
  if (threads > 1) rows.push_back(measure(threads));
  if (as_json) {
    fmt::print("{}\n", rows.dump());
    return 0;
  }
  fmt::print("| threads | fp32 GFLOP/s | bf16 GFLOP/s | int8 GOP/s | memory GB/s |\n|---|---|---|---|---|\n");
  for (const nlohmann::json& row : rows) {
    fmt::print("| {} | {} | {} | {} | {} |\n", row.at("threads").get<int>(), cell(row, "fp32_gop_s"),
               cell(row, "bf16_gop_s"), cell(row, "int8_gop_s"), cell(row, "memory_gb_s"));
  }
  return 0;
}
