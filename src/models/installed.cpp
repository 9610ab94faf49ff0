#include "models/installed.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "models/gguf.h"
#include "models/hf_config.h"
#include "models/safetensors.h"

namespace escribano {
namespace {

namespace fs = std::filesystem;
using namespace models;

constexpr std::size_t kMaxEntries = 10'000;

// The folders directly in another one, by name. What cannot be listed has none.
std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::error_code error;
  if (folder.empty()) return folders;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (folders.size() >= kMaxEntries) break;
    if (it->is_directory(ignored) && !it->path().filename().native().starts_with('.')) folders.push_back(it->path());
  }
  std::ranges::sort(folders);
  return folders;
}

// The element type that most bytes of a file are of, where its name does not say it.
std::string main_type(const fs::path& path) {
  const auto file = GgufFile::open(path);
  if (!file) return {};
  std::map<std::uint32_t, std::uint64_t> bytes;
  for (const GgufTensor& tensor : file->header().tensors()) bytes[tensor.type] += tensor.size_bytes;
  const auto most = std::ranges::max_element(bytes, {}, [](const auto& entry) { return entry.second; });
  return most == bytes.end() ? std::string() : std::string(ggml_type_info(most->first)->name);
}

InstalledModel gguf_model(const fs::path& path, std::string name) {
  InstalledModel model = {.name = std::move(name), .path = path, .kind = quantisation_label(path)};
  if (model.kind.empty()) model.kind = main_type(path);
  std::error_code error;
  model.size_bytes = fs::file_size(path, error);
  if (error) model.size_bytes = 0;
  const auto take = [&]() -> Status {
    ESCRIBANO_TRY(const ModelFiles files, resolve_model(path.native(), {}));
    ESCRIBANO_TRY(model.info, check_model(files));
    model.size_bytes = model.info.file_bytes;
    return {};
  };
  if (const Status taken = take(); !taken) model.problem = taken.error();
  return model;
}

// How many weights a group of MLX's has in the module that `scales` belongs to; 0 where it is not quantised.
std::uint64_t group_size(const MlxQuantization& quantization, std::string_view scales) {
  const auto own = quantization.modules.find(std::string(scales.substr(0, scales.rfind('.'))));
  if (own == quantization.modules.end()) return quantization.usual.group_size;
  return own->second ? own->second->group_size : 0;
}

// What the weights take once they are imported: 16 bits each. Of a quantised module the scales tell how many there are.
void add_weights(const SafetensorsFolder& weights, const HfConfig& config, ModelInfo& info) {
  for (const auto& [name, entry] : weights.tensors()) {
    const SafeTensor& tensor = *entry.tensor;
    if (config.text.tied_head && name.find("lm_head") != std::string::npos) continue;
    std::uint64_t bytes = tensor.dtype == Dtype::f32 ? tensor.size_bytes / 2 : tensor.size_bytes;
    if (config.quantization) {
      if (tensor.dtype == Dtype::u32 || name.ends_with(".biases")) bytes = 0;
      if (name.ends_with(".scales")) bytes *= group_size(*config.quantization, name);
    }
    info.file_bytes += bytes;
    const bool vision = name.find("visual.") != std::string::npos || name.find("vision_tower.") != std::string::npos;
    if (vision) info.projector_bytes += bytes;
  }
}

std::string main_dtype(const SafetensorsFolder& weights) {
  std::map<std::string, std::uint64_t> bytes;
  for (const auto& [name, entry] : weights.tensors()) bytes[entry.tensor->dtype_name] += entry.tensor->size_bytes;
  const auto most = std::ranges::max_element(bytes, {}, [](const auto& entry) { return entry.second; });
  std::string name = most == bytes.end() ? "" : most->first;
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

ModelInfo info_of(const HfConfig& config) {
  ModelInfo info;
  info.architecture = architecture_name(config.family);
  info.n_ctx_train = config.text.context;
  info.n_layer = config.text.layers;
  info.n_embd = config.text.hidden;
  info.n_ff = config.text.intermediate;
  info.n_head = config.text.heads;
  info.n_head_kv = config.text.kv_heads;
  info.head_size = config.text.head_size;
  info.vocab_size = config.text.vocab_size;
  info.deepstack_count = static_cast<std::uint32_t>(config.vision.deepstack.size());
  info.has_vision = true;
  info.vision_width = config.vision.hidden;
  info.vision_ff = config.vision.intermediate;
  info.vision_heads = config.vision.heads;
  info.vision_windows = config.vision.window_pattern != 0;
  info.vision_layers = config.vision.layers;
  info.patch_size = config.vision.patch_px;
  info.merge_size = config.vision.merge;
  info.min_pixels = config.image.min_pixels;
  info.max_pixels = config.image.max_pixels;
  info.max_frames_per_prompt = config.max_frames_per_prompt;
  return info;
}

InstalledModel hf_model(const fs::path& folder, std::string name) {
  InstalledModel model = {.name = std::move(name), .path = folder};
  const auto weights = SafetensorsFolder::open(folder);
  const auto config = read_hf_config(folder);
  if (weights) {
    model.size_bytes = weights->total_bytes();
    model.kind = "HF " + main_dtype(*weights);
  }
  if (config && config->quantization) model.kind = fmt::format("MLX {}-bit", config->quantization->usual.bits);
  if (!config) {
    model.problem = config.error();
  } else if (!weights) {
    model.problem = weights.error();
  } else {
    model.info = info_of(*config);
    add_weights(*weights, *config, model.info);
  }
  return model;
}

}  // namespace

std::vector<InstalledModel> installed_at(const fs::path& path, const std::string& name) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return {gguf_model(path, name)};
  const auto files = list_models(path);
  if (!files) return {{.name = name, .path = path, .problem = files.error()}};
  std::vector<InstalledModel> models;
  for (const fs::path& file : *files) {
    const std::string label = quantisation_label(file);
    models.push_back(gguf_model(file, files->size() > 1 && !label.empty() ? fmt::format("{}:{}", name, label) : name));
  }
  if (!models.empty()) return models;
  if (fs::exists(path / "config.json", error)) return {hf_model(path, name)};
  return {{.name = name,
           .path = path,
           .problem = Error{Errc::not_found, printable(path) + " holds neither a .gguf file nor a config.json"}}};
}

std::vector<InstalledModel> installed_models(const ResolveOptions& options) {
  std::vector<InstalledModel> models;
  std::set<std::string> names;
  const auto add = [&](const fs::path& folder, const std::string& name) {
    if (!names.insert(name).second) return;
    for (InstalledModel& model : installed_at(folder, name)) models.push_back(std::move(model));
  };
  if (!options.demo_folder.empty()) add(options.demo_folder, "demo");
  if (!options.home.empty()) {
    for (const fs::path& organisation : folders_in(options.home / "models")) {
      for (const fs::path& folder : folders_in(organisation)) {
        add(folder, printable(organisation.filename() / folder.filename()));
      }
    }
  }
  for (const fs::path& repository : folders_in(options.hf_hub)) {
    std::string name = printable(repository.filename());
    constexpr std::string_view prefix = "models--";
    if (!name.starts_with(prefix)) continue;
    name.erase(0, prefix.size());
    if (const std::size_t dashes = name.find("--"); dashes != std::string::npos) name.replace(dashes, 2, "/");
    if (const auto snapshot = hub_snapshot(repository)) add(*snapshot, name);
  }
  return models;
}

}  // namespace escribano
