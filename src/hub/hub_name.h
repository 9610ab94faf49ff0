#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace escribano::hub {

// What is to be pulled: "org/name", "org/name@revision", "org/name:Q4_K_M", "org/name@revision:Q4_K_M".
struct HubName {
  std::string repository;         // "org/name"
  std::string revision = "main";  // a branch, a tag or a commit
  std::string quant;              // which GGUF of several; empty: the only one

  friend bool operator==(const HubName&, const HubName&) = default;
};

// Fails with invalid_argument and the form that a name has. Pure.
Result<HubName> parse_hub_name(std::string_view text);
// The other way round, without what is as it would be anyway. Pure.
std::string to_text(const HubName& name);

// "1.1 GB", "640 kB": sizes as the hub itself shows them. Pure.
std::string shown_size(std::uint64_t bytes);

}  // namespace escribano::hub
