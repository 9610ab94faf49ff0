#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace escribano::cli {

struct Memory {
  std::uint64_t total_bytes = 0;                 // of the machine, or of the container if that has less
  std::optional<std::uint64_t> available_bytes;  // without pushing anything out; nullopt where the system does not say
};
// Nullopt where the system does not say at all.
std::optional<Memory> read_memory();

// "25 MiB", "4.3 GiB". Pure.
std::string human_bytes(std::uint64_t bytes);

}  // namespace escribano::cli
