#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "hub/selection.h"

namespace escribano::hub {

// What lies in a folder that was pulled, beside the files: where they came from, and what they were when they came.
struct Manifest {
  HubName name;
  std::string commit;
  std::vector<PullFile> files;  // with the sha256 of each

  friend bool operator==(const Manifest&, const Manifest&) = default;
};

inline constexpr const char* kManifestName = ".escribano-pull.json";

// JSON. Pure.
std::string to_text(const Manifest& manifest);
// Fails with corrupt. Pure.
Result<Manifest> parse_manifest(std::string_view text);

// The manifest of a folder; nullopt where it has none that can be read.
std::optional<Manifest> read_manifest(const std::filesystem::path& folder);

}  // namespace escribano::hub
