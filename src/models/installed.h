#pragma once

// Which models are on this machine, without importing or loading any.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "models/model_files.h"
#include "models/resolve.h"

namespace escribano {

struct InstalledModel {
  std::string name;              // what resolve_model() takes
  std::filesystem::path path;    // a folder, or a .gguf file
  std::string kind;              // "Q4_K_M", "HF bf16", "MLX 4-bit"; empty where it cannot be told
  std::uint64_t size_bytes = 0;  // on the disk: of the pair, or of a folder's weights
  ModelInfo info;                // as it will be once it is imported; meaningful without a problem
  std::optional<Error> problem;  // why it cannot be used
};

// The demo model, the folders below home/models, and the repositories of the Hugging Face cache that are not hidden by one of
// the former, each group by name. A folder with several GGUF models has an entry for each. Reads headers only; blocks for
// that. Text models have no problem, and info.has_vision false.
std::vector<InstalledModel> installed_models(const ResolveOptions& options);

// The same of one file or folder under the name it is called by.
std::vector<InstalledModel> installed_at(const std::filesystem::path& path, const std::string& name);

}  // namespace escribano
