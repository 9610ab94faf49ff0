#include "cli/memory.h"

#include <algorithm>
#include <fstream>
#include <string_view>

#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/llama/llama_system.h"

namespace escribano::cli {
namespace {

namespace fs = std::filesystem;

// The number behind `key` in a file of lines such as "MemTotal:  24684096 kB".
std::optional<std::uint64_t> number_in(const fs::path& path, std::string_view key) {
  std::ifstream file(path);
  std::string word;
  std::uint64_t number = 0;
  while (file >> word) {
    if (word == key && file >> number) return number;
    file.clear();
  }
  return std::nullopt;
}

std::optional<std::uint64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (file >> number) return number;  // "max" is no limit
  return std::nullopt;
}

// What the files of a control group are called, which differs between the versions.
struct GroupFiles {
  const char* limit;
  const char* used;
  const char* inactive;  // in memory.stat
};
constexpr GroupFiles kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
constexpr GroupFiles kVersion2 = {"memory.max", "memory.current", "inactive_file"};

void apply_limit(Memory& memory, std::uint64_t limit, std::uint64_t used) {
  memory.total_bytes = std::min(memory.total_bytes, limit);
  const std::uint64_t left = limit - std::min(limit, used);
  memory.available_bytes = std::min(memory.usable_bytes(), left);
}

void apply_group(Memory& memory, const fs::path& folder, const GroupFiles& names) {
  const auto limit = number_in(folder / names.limit);
  const auto used = number_in(folder / names.used);
  if (!limit || !used || *limit >= memory.total_bytes) return;
  // Pages of files count as used, and are given back when they are needed.
  const std::uint64_t files = number_in(folder / "memory.stat", names.inactive).value_or(0);
  apply_limit(memory, *limit, *used - std::min(*used, files));
}

// The limits of every group from the root down to that of this process hold. In a container the files of its own group lie
// at the root, whatever its path is outside.
void apply_groups(Memory& memory, const MemoryFiles& files) {
  std::ifstream groups(files.proc / "self" / "cgroup");
  std::string line;
  while (std::getline(groups, line)) {  // "0::/user.slice/a", or "9:memory:/a" in version 1
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    const bool version2 = controllers.empty();
    if (!version2 && controllers != "memory") continue;
    const GroupFiles& names = version2 ? kVersion2 : kVersion1;
    fs::path folder = version2 ? files.cgroup : files.cgroup / "memory";
    apply_group(memory, folder, names);
    for (const fs::path& part : fs::path(line.substr(second + 1)).relative_path()) {
      if (part == "..") break;  // the group lies outside of what can be seen here
      folder /= part;
      apply_group(memory, folder, names);
    }
  }
}

void apply_address_space(Memory& memory, const MemoryFiles& files, std::uint64_t page_bytes) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  apply_limit(memory, limit.rlim_cur, number_in(files.proc / "self" / "statm").value_or(0) * page_bytes);
}

}  // namespace

std::optional<Memory> read_memory(const MemoryFiles& files) {
  Memory memory;
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return std::nullopt;
  memory.total_bytes = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
  const fs::path meminfo = files.proc / "meminfo";
  if (const auto kib = number_in(meminfo, "MemTotal:")) memory.total_bytes = *kib * 1024;
  if (const auto kib = number_in(meminfo, "MemAvailable:")) memory.available_bytes = *kib * 1024;
  apply_groups(memory, files);
  apply_address_space(memory, files, static_cast<std::uint64_t>(page_bytes));
  return memory;
}

std::optional<std::uint64_t> engine_memory(int limit_mb) {
  std::optional<std::uint64_t> usable;
  if (engine::llama_system().gpus.empty()) {
    if (const auto memory = read_memory()) usable = memory->usable_bytes();
  }
  if (limit_mb <= 0) return usable;
  const std::uint64_t limit = static_cast<std::uint64_t>(limit_mb) << 20;
  return std::min(usable.value_or(limit), limit);
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr double kMiB = 1 << 20;
  const double mib = static_cast<double>(bytes) / kMiB;
  return mib < 1000 ? fmt::format("{:.0f} MiB", mib) : fmt::format("{:.1f} GiB", mib / 1024);
}

}  // namespace escribano::cli
