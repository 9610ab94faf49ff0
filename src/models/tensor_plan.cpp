#include "models/tensor_plan.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/utf8.h"

namespace escribano::models {
namespace {

constexpr std::size_t max_names_shown = 5;
constexpr std::string_view weight_suffix = ".weight";

struct Prefix {
  std::string_view written;
  std::string_view canonical;
};

// Longest first, since "model." begins others. The canonical names are those of today's transformers.
constexpr std::array prefixes = {
    Prefix{"language_model.lm_head.", "lm_head."},
    Prefix{"language_model.model.", "model.language_model."},
    Prefix{"model.language_model.", "model.language_model."},
    Prefix{"model.visual.", "model.visual."},
    Prefix{"vision_tower.", "model.visual."},
    Prefix{"lm_head.", "lm_head."},
    Prefix{"visual.", "model.visual."},
    Prefix{"model.", "model.language_model."},
};

std::optional<std::string> canonical_name(std::string_view name) {
  for (const Prefix& prefix : prefixes) {
    if (name.starts_with(prefix.written)) {
      return std::string(prefix.canonical) + std::string(name.substr(prefix.written.size()));
    }
  }
  return std::nullopt;
}

// Tables that some exporters store although they follow from the configuration.
bool is_derived(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".position_ids") ||
         name.ends_with(".rotary_pos_emb.inv_freq");
}

std::string joined(const std::vector<std::string>& names) {
  const std::size_t shown = std::min(names.size(), max_names_shown);
  std::string text =
      fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

using Shape = std::vector<std::uint64_t>;

class Planner {
 public:
  Planner(const HfConfig& config, GgmlType matrix_type) : config_(&config), matrix_type_(matrix_type) {}

  Status index(const SafetensorsFolder& weights);
  void plan_text();
  void plan_vision();
  Result<TensorPlan> finish();

 private:
  // Takes the source of a canonical name if its shape is right; otherwise remembers what is wrong and returns null.
  const SafetensorsFolder::Entry* take(const std::string& source, const Shape& shape, bool packed = false);
  // How MLX has quantised the matrix, if it has.
  std::optional<AffineFormat> format_of(const std::string& source) const;
  std::optional<PlannedTensor> take_affine(const std::string& source, AffineFormat format, std::uint64_t rows,
                                           std::uint64_t columns);
  void matrix(std::vector<PlannedTensor>& out, const std::string& source, std::string name, std::uint64_t rows,
              std::uint64_t columns, bool keep_f32 = false);
  void vector(std::vector<PlannedTensor>& out, const std::string& source, std::string name, std::uint64_t size);
  void linear(const std::string& source, const std::string& name, std::uint64_t rows, std::uint64_t columns);
  void split_qkv(const std::string& source, const std::string& name, std::uint64_t width);
  void norm(const std::string& source, const std::string& name, std::uint64_t size);
  void text_layer(std::uint32_t layer);
  void patch_kernel();
  void qwen3_vision();
  void qwen3_vision_layer(std::uint32_t layer);
  void qwen2_5_vision();
  void qwen2_5_vision_layer(std::uint32_t layer);

  const HfConfig* config_;
  GgmlType matrix_type_;
  std::map<std::string, SafetensorsFolder::Entry> sources_;
  std::map<std::string, std::optional<AffineFormat>> formats_;  // of modules that are not as usual
  std::map<std::string, bool> used_;
  std::vector<std::string> missing_;
  std::vector<std::string> misshapen_;
  std::vector<std::string> unexpected_;
  std::vector<std::string> wrong_type_;
  TensorPlan plan_;
};

Status Planner::index(const SafetensorsFolder& weights) {
  for (const auto& [name, entry] : weights.tensors()) {
    if (is_derived(name)) continue;
    const auto canonical = canonical_name(name);
    if (!canonical) {
      unexpected_.push_back(to_valid_utf8(name));
      continue;
    }
    const auto [held, is_new] = sources_.emplace(*canonical, entry);
    if (!is_new) {
      return fail(Errc::corrupt, "the tensors {} and {} are the same part of the model",
                  to_valid_utf8(held->second.tensor->name), to_valid_utf8(name));
    }
  }
  if (!config_->quantization) return {};
  for (const auto& [module, format] : config_->quantization->modules) {
    if (const auto canonical = canonical_name(module + std::string(weight_suffix))) formats_[*canonical] = format;
  }
  return {};
}

const SafetensorsFolder::Entry* Planner::take(const std::string& source, const Shape& shape, bool packed) {
  const auto found = sources_.find(source);
  if (found == sources_.end()) {
    missing_.push_back(source);
    return nullptr;
  }
  used_[source] = true;
  const SafeTensor& tensor = *found->second.tensor;
  if (tensor.dtype == Dtype::other || (tensor.dtype == Dtype::u32) != packed)
    wrong_type_.push_back(fmt::format("{} ({})", to_valid_utf8(tensor.name), tensor.dtype_name));
  if (tensor.shape != shape) {
    misshapen_.push_back(fmt::format("{} is [{}] where [{}] is needed", to_valid_utf8(tensor.name),
                                     fmt::join(tensor.shape, ", "), fmt::join(shape, ", ")));
    return nullptr;
  }
  return &found->second;
}

std::optional<AffineFormat> Planner::format_of(const std::string& source) const {
  const auto found = sources_.find(source);
  if (found == sources_.end() || found->second.tensor->dtype != Dtype::u32 || !config_->quantization) {
    return std::nullopt;
  }
  const auto own = formats_.find(source);
  return own == formats_.end() ? config_->quantization->usual : own->second;
}

std::optional<PlannedTensor> Planner::take_affine(const std::string& source, AffineFormat format, std::uint64_t rows,
                                                  std::uint64_t columns) {
  if (columns % format.group_size != 0) {
    misshapen_.push_back(
        fmt::format("{}, whose rows of {} weights are not whole groups of {}", source, columns, format.group_size));
    return std::nullopt;
  }
  const std::string module = source.substr(0, source.size() - weight_suffix.size());
  const std::uint64_t groups = columns / format.group_size;
  const auto* weight = take(source, {rows, groups * format.group_bytes() / 4}, true);
  const auto* scales = take(module + ".scales", {rows, groups});
  const auto* biases = take(module + ".biases", {rows, groups});
  if (weight == nullptr || scales == nullptr || biases == nullptr) return std::nullopt;
  PlannedTensor tensor;
  tensor.source = *weight;
  tensor.affine = {format, *scales, *biases};
  return tensor;
}

void Planner::matrix(std::vector<PlannedTensor>& out, const std::string& source, std::string name, std::uint64_t rows,
                     std::uint64_t columns, bool keep_f32) {
  std::optional<PlannedTensor> tensor;
  if (const auto format = format_of(source)) {
    tensor = take_affine(source, *format, rows, columns);
  } else if (const auto* entry = take(source, {rows, columns})) {
    tensor.emplace().source = *entry;
  }
  if (!tensor) return;
  tensor->name = std::move(name);
  tensor->dims = {columns, rows};
  tensor->type = keep_f32 ? GgmlType::f32 : matrix_type_;
  tensor->type_is_fixed = keep_f32;
  out.push_back(*std::move(tensor));
}

void Planner::vector(std::vector<PlannedTensor>& out, const std::string& source, std::string name, std::uint64_t size) {
  const auto* entry = take(source, {size});
  if (entry == nullptr) return;
  PlannedTensor tensor;
  tensor.name = std::move(name);
  tensor.dims = {size};
  tensor.source = *entry;
  out.push_back(std::move(tensor));
}

// A layer of the vision tower with weight and bias.
void Planner::linear(const std::string& source, const std::string& name, std::uint64_t rows, std::uint64_t columns) {
  matrix(plan_.vision, source + ".weight", name + ".weight", rows, columns);
  vector(plan_.vision, source + ".bias", name + ".bias", rows);
}

// Queries, keys and values, which the folder has in one matrix and llama.cpp's graph of Qwen2.5-VL wants by themselves.
void Planner::split_qkv(const std::string& source, const std::string& name, std::uint64_t width) {
  std::vector<PlannedTensor> fused;
  matrix(fused, source + ".weight", ".weight", 3 * width, width);
  vector(fused, source + ".bias", ".bias", 3 * width);
  for (const PlannedTensor& whole : fused) {
    for (const std::uint32_t slice : {0u, 1u, 2u}) {
      PlannedTensor part = whole;
      part.name = fmt::format("{}{}{}", name, "qkv"[slice], whole.name);
      part.dims.back() = width;
      part.slices = 3;
      part.slice = slice;
      plan_.vision.push_back(std::move(part));
    }
  }
}

void Planner::norm(const std::string& source, const std::string& name, std::uint64_t size) {
  vector(plan_.vision, source + ".weight", name + ".weight", size);
  vector(plan_.vision, source + ".bias", name + ".bias", size);
}

void Planner::text_layer(std::uint32_t layer) {
  const TextConfig& text = config_->text;
  const std::string from = fmt::format("model.language_model.layers.{}.", layer);
  const std::string to = fmt::format("blk.{}.", layer);
  const std::uint64_t query = std::uint64_t{text.heads} * text.head_size;
  const std::uint64_t key = std::uint64_t{text.kv_heads} * text.head_size;
  auto& out = plan_.text;
  vector(out, from + "input_layernorm.weight", to + "attn_norm.weight", text.hidden);
  vector(out, from + "post_attention_layernorm.weight", to + "ffn_norm.weight", text.hidden);
  if (config_->family == ModelFamily::qwen3_vl) {
    vector(out, from + "self_attn.q_norm.weight", to + "attn_q_norm.weight", text.head_size);
    vector(out, from + "self_attn.k_norm.weight", to + "attn_k_norm.weight", text.head_size);
  } else {
    vector(out, from + "self_attn.q_proj.bias", to + "attn_q.bias", query);
    vector(out, from + "self_attn.k_proj.bias", to + "attn_k.bias", key);
    vector(out, from + "self_attn.v_proj.bias", to + "attn_v.bias", key);
  }
  matrix(out, from + "self_attn.q_proj.weight", to + "attn_q.weight", query, text.hidden);
  matrix(out, from + "self_attn.k_proj.weight", to + "attn_k.weight", key, text.hidden);
  matrix(out, from + "self_attn.v_proj.weight", to + "attn_v.weight", key, text.hidden);
  matrix(out, from + "self_attn.o_proj.weight", to + "attn_output.weight", text.hidden, query);
  matrix(out, from + "mlp.gate_proj.weight", to + "ffn_gate.weight", text.intermediate, text.hidden);
  matrix(out, from + "mlp.up_proj.weight", to + "ffn_up.weight", text.intermediate, text.hidden);
  matrix(out, from + "mlp.down_proj.weight", to + "ffn_down.weight", text.hidden, text.intermediate);
}

void Planner::plan_text() {
  const TextConfig& text = config_->text;
  auto& out = plan_.text;
  matrix(out, "model.language_model.embed_tokens.weight", "token_embd.weight", text.vocab_size, text.hidden);
  vector(out, "model.language_model.norm.weight", "output_norm.weight", text.hidden);
  if (text.tied_head) {
    // Some exporters store the shared matrix twice; transformers ignores the second.
    for (const char* part : {"lm_head.weight", "lm_head.scales", "lm_head.biases"}) used_[part] = true;
  } else {
    matrix(out, "lm_head.weight", "output.weight", text.vocab_size, text.hidden);
  }
  for (std::uint32_t layer = 0; layer < text.layers; ++layer) text_layer(layer);
}

void Planner::patch_kernel() {
  const VisionConfig& vision = config_->vision;
  const std::uint64_t px = vision.patch_px;
  const Shape channels_first = {vision.hidden, 3, 2, px, px};
  const Shape channels_last = {vision.hidden, 2, px, px, 3};
  const std::string source = "model.visual.patch_embed.proj.weight";
  const auto found = sources_.find(source);
  const bool is_last = found != sources_.end() && found->second.tensor->shape == channels_last;
  const auto* entry = take(source, is_last ? channels_last : channels_first);
  if (entry == nullptr) return;
  for (const std::uint32_t slice : {0u, 1u}) {
    PlannedTensor tensor;
    tensor.name = slice == 0 ? "v.patch_embd.weight" : "v.patch_embd.weight.1";
    tensor.dims = {px, px, 3, vision.hidden};
    tensor.source = *entry;
    tensor.layout = is_last ? PlannedTensor::Layout::patch_channels_last : PlannedTensor::Layout::patch_channels_first;
    tensor.slices = 2;
    tensor.slice = slice;
    plan_.vision.push_back(std::move(tensor));
  }
}

void Planner::qwen3_vision_layer(std::uint32_t layer) {
  const VisionConfig& vision = config_->vision;
  const std::string from = fmt::format("model.visual.blocks.{}.", layer);
  const std::string to = fmt::format("v.blk.{}.", layer);
  const std::uint64_t width = vision.hidden;
  norm(from + "norm1", to + "ln1", width);
  norm(from + "norm2", to + "ln2", width);
  linear(from + "attn.qkv", to + "attn_qkv", 3 * width, width);
  linear(from + "attn.proj", to + "attn_out", width, width);
  linear(from + "mlp.linear_fc1", to + "ffn_up", vision.intermediate, width);
  linear(from + "mlp.linear_fc2", to + "ffn_down", width, vision.intermediate);
}

void Planner::qwen3_vision() {
  const VisionConfig& vision = config_->vision;
  const std::uint64_t width = vision.hidden;
  const std::uint64_t merged = width * vision.merge * vision.merge;
  vector(plan_.vision, "model.visual.patch_embed.proj.bias", "v.patch_embd.bias", width);
  matrix(plan_.vision, "model.visual.pos_embed.weight", "v.position_embd.weight", vision.positions, width, true);
  norm("model.visual.merger.norm", "v.post_ln", width);
  linear("model.visual.merger.linear_fc1", "mm.0", merged, merged);
  linear("model.visual.merger.linear_fc2", "mm.2", config_->text.hidden, merged);
  for (std::uint32_t layer = 0; layer < vision.layers; ++layer) qwen3_vision_layer(layer);
  for (std::size_t i = 0; i < vision.deepstack.size(); ++i) {
    // The list counts mergers, GGUF names them by the layer that feeds them.
    const std::string from = fmt::format("model.visual.deepstack_merger_list.{}.", i);
    const std::string to = fmt::format("v.deepstack.{}.", vision.deepstack[i]);
    norm(from + "norm", to + "norm", merged);
    linear(from + "linear_fc1", to + "fc1", merged, merged);
    linear(from + "linear_fc2", to + "fc2", config_->text.hidden, merged);
  }
}

void Planner::qwen2_5_vision_layer(std::uint32_t layer) {
  const VisionConfig& vision = config_->vision;
  const std::string from = fmt::format("model.visual.blocks.{}.", layer);
  const std::string to = fmt::format("v.blk.{}.", layer);
  const std::uint64_t width = vision.hidden;
  vector(plan_.vision, from + "norm1.weight", to + "ln1.weight", width);
  vector(plan_.vision, from + "norm2.weight", to + "ln2.weight", width);
  split_qkv(from + "attn.qkv", to + "attn_", width);
  linear(from + "attn.proj", to + "attn_out", width, width);
  linear(from + "mlp.gate_proj", to + "ffn_gate", vision.intermediate, width);
  linear(from + "mlp.up_proj", to + "ffn_up", vision.intermediate, width);
  linear(from + "mlp.down_proj", to + "ffn_down", width, vision.intermediate);
}

void Planner::qwen2_5_vision() {
  const VisionConfig& vision = config_->vision;
  const std::uint64_t merged = std::uint64_t{vision.hidden} * vision.merge * vision.merge;
  vector(plan_.vision, "model.visual.merger.ln_q.weight", "v.post_ln.weight", vision.hidden);
  linear("model.visual.merger.mlp.0", "mm.0", merged, merged);
  linear("model.visual.merger.mlp.2", "mm.2", config_->text.hidden, merged);
  for (std::uint32_t layer = 0; layer < vision.layers; ++layer) qwen2_5_vision_layer(layer);
}

void Planner::plan_vision() {
  patch_kernel();
  if (config_->family == ModelFamily::qwen3_vl) {
    qwen3_vision();
  } else {
    qwen2_5_vision();
  }
}

Result<TensorPlan> Planner::finish() {
  for (const auto& [name, entry] : sources_) {
    if (!used_.contains(name)) unexpected_.push_back(to_valid_utf8(entry.tensor->name));
  }
  if (!missing_.empty()) return fail(Errc::corrupt, "these tensors are missing: {}", joined(missing_));
  if (!wrong_type_.empty()) {
    return fail(
        Errc::unsupported,
        "only bf16, f16 and f32 weights and packed ones (U32) of modules that config.json calls quantised can be "
        "imported, not {}",
        joined(wrong_type_));
  }
  if (!misshapen_.empty()) return fail(Errc::corrupt, "tensors have the wrong shape: {}", joined(misshapen_));
  if (!unexpected_.empty()) {
    return fail(Errc::corrupt, "these tensors are not part of the architecture: {}", joined(unexpected_));
  }
  return std::move(plan_);
}

}  // namespace

Result<TensorPlan> plan_tensors(const HfConfig& config, const SafetensorsFolder& weights, GgmlType matrix_type) {
  Planner planner(config, matrix_type);
  ESCRIBANO_CHECK(planner.index(weights));
  planner.plan_text();
  planner.plan_vision();
  return planner.finish();
}

}  // namespace escribano::models
