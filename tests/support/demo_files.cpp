#include "support/demo_files.h"

#include <filesystem>

#include <stdexcept>

#include "models/resolve.h"

namespace escribano {

const ModelFiles& demo_model() {
  static const ModelFiles files = [] {
    ResolveOptions options;
    options.home = std::filesystem::path(ESCRIBANO_BINARY_DIR) / "test-home";
    options.demo_folder = std::filesystem::path(ESCRIBANO_SOURCE_DIR) / "assets" / "demo-model";
    Result<ModelFiles> resolved = resolve_model("demo", options);
    if (!resolved) throw std::runtime_error(resolved.error().message);
    return *std::move(resolved);
  }();
  return files;
}

}  // namespace escribano
