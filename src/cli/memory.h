#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace escribano::cli {

struct Memory {
  std::uint64_t total_bytes = 0;                 // of the machine, or of the container if that has less
  std::optional<std::uint64_t> available_bytes;  // without pushing anything out; nullopt where the system does not say

  std::uint64_t usable_bytes() const { return available_bytes.value_or(total_bytes); }
};

// Where Linux tells about memory; elsewhere there are no such files.
struct MemoryFiles {
  std::filesystem::path proc = "/proc";
  std::filesystem::path cgroup = "/sys/fs/cgroup";
};

// What the machine has, within the limits of the control groups this process is in (version 1 or 2) and of its address
// space (ulimit -v). Nullopt where the system does not say at all.
std::optional<Memory> read_memory(const MemoryFiles& files = {});

// What an engine may take: what read_memory() says can be had, and at most `limit_mb` MiB if that is not 0. Nullopt where
// nobody says, and without a limit where a GPU holds the model, whose memory is not known here.
std::optional<std::uint64_t> engine_memory(int limit_mb);

// "25 MiB", "4.3 GiB". Pure.
std::string human_bytes(std::uint64_t bytes);

}  // namespace escribano::cli
