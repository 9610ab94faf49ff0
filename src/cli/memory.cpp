#include "cli/memory.h"

#include <algorithm>
#include <fstream>
#include <string_view>

#include <fmt/core.h>
#include <unistd.h>

namespace escribano::cli {
namespace {

// The number behind `key` in a file of lines such as "MemTotal:  24684096 kB".
std::optional<std::uint64_t> number_in(const char* path, std::string_view key) {
  std::ifstream file(path);
  std::string word;
  std::uint64_t number = 0;
  while (file >> word) {
    if (word == key && file >> number) return number;
    file.clear();
  }
  return std::nullopt;
}

std::optional<std::uint64_t> number_in(const char* path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (file >> number) return number;  // "max" is no limit
  return std::nullopt;
}

// A container may have less than its machine (version 2 of control groups; seen from inside, its own group is the root).
void apply_container_limit(Memory& memory) {
  const auto limit = number_in("/sys/fs/cgroup/memory.max");
  const auto used = number_in("/sys/fs/cgroup/memory.current");
  if (!limit || !used || *limit >= memory.total_bytes) return;
  memory.total_bytes = *limit;
  // Pages of files count as used, and are given back when they are needed.
  const std::uint64_t files = number_in("/sys/fs/cgroup/memory.stat", "inactive_file").value_or(0);
  const std::uint64_t held = *used - std::min(*used, files);
  const std::uint64_t left = *limit - std::min(*limit, held);
  memory.available_bytes = std::min(memory.available_bytes.value_or(left), left);
}

}  // namespace

std::optional<Memory> read_memory() {
  Memory memory;
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return std::nullopt;
  memory.total_bytes = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
  // Only Linux has these files.
  if (const auto kib = number_in("/proc/meminfo", "MemAvailable:")) memory.available_bytes = *kib * 1024;
  apply_container_limit(memory);
  return memory;
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr double kMiB = 1 << 20;
  const double mib = static_cast<double>(bytes) / kMiB;
  return mib < 1000 ? fmt::format("{:.0f} MiB", mib) : fmt::format("{:.1f} GiB", mib / 1024);
}

}  // namespace escribano::cli
