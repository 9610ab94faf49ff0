// What llama.cpp (src/models/qwen3vl.cpp, src/models/qwen2vl.cpp, src/llama-model.cpp, src/llama-vocab.cpp) and libmtmd
// (tools/mtmd/clip.cpp, tools/mtmd/models/qwen3vl.cpp, tools/mtmd/models/qwen2vl.cpp) take for granted of a Qwen3-VL or
// Qwen2.5-VL pair. Some of it they check themselves and fail; what
// they assert, divide by or dereference must not reach them.

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_set>

#include <fmt/format.h>

#include "base/utf8.h"
#include "models/check.h"

namespace escribano::models {
namespace {

constexpr std::uint32_t max_layers = 512;  // LLAMA_MAX_LAYERS
constexpr std::uint32_t max_width = 1u << 17;
constexpr std::uint32_t max_vocabulary = 1u << 22;
constexpr std::uint32_t window_px = 112;  // a side; built into libmtmd
constexpr std::uint32_t max_windowed_tokens = 11'585;

// Of Qwen2.5-VL; its older sister Qwen2-VL has the same language model.
bool is_qwen2(const ModelInfo& info) { return info.architecture == "qwen2vl"; }

std::string key(const ModelInfo& info, std::string_view name) { return fmt::format("{}.{}", info.architecture, name); }

Status read_text_sizes(const KeyReader& keys, ModelInfo& info) {
  ESCRIBANO_TRY(info.n_layer, keys.u32(key(info, "block_count"), 1, max_layers));
  ESCRIBANO_TRY(info.n_ctx_train, keys.u32(key(info, "context_length"), 1, 1u << 26));
  ESCRIBANO_TRY(info.n_embd, keys.u32(key(info, "embedding_length"), 1, max_width));
  ESCRIBANO_TRY(info.n_ff, keys.u32(key(info, "feed_forward_length"), 1, max_width * 4));
  ESCRIBANO_TRY(info.n_head, keys.u32(key(info, "attention.head_count"), 1, 1024));
  ESCRIBANO_TRY(const auto n_head_kv, keys.optional_u32(key(info, "attention.head_count_kv"), 1, info.n_head));
  info.n_head_kv = n_head_kv.value_or(info.n_head);
  if (info.n_head % info.n_head_kv != 0) {
    return fail(Errc::model_invalid, "{}: {} attention heads cannot share {} key-value heads", keys.what(), info.n_head,
                info.n_head_kv);
  }
  const std::uint32_t by_width = info.n_embd / info.n_head;
  ESCRIBANO_TRY(const auto key_length, keys.optional_u32(key(info, "attention.key_length"), 2, 1024));
  ESCRIBANO_TRY(const auto value_length, keys.optional_u32(key(info, "attention.value_length"), 2, 1024));
  info.head_size = key_length.value_or(by_width);
  if (info.head_size < 2 || info.head_size % 2 != 0 || value_length.value_or(by_width) != info.head_size) {
    return fail(Errc::model_invalid, "{}: keys and values must have one even size a head", keys.what());
  }
  ESCRIBANO_CHECK(keys.absent_or(key(info, "rope.dimension_count"), info.head_size));
  ESCRIBANO_CHECK(keys.absent_or(key(info, "embedding_length_out"), info.n_embd));
  if (is_qwen2(info)) {
    if (info.n_head * info.head_size == info.n_embd) return {};
    return fail(Errc::model_invalid, "{}: {} heads of {} do not make up a width of {}", keys.what(), info.n_head,
                info.head_size, info.n_embd);
  }
  ESCRIBANO_TRY(const auto deepstack, keys.optional_u32(key(info, "n_deepstack_layers"), 0, info.n_layer));
  info.deepstack_count = deepstack.value_or(0);
  return {};
}

// Mixtures of experts and prediction heads that this architecture does not have, but whose keys llama.cpp asserts on.
Status check_no_experts(const KeyReader& keys, const ModelInfo& info) {
  for (const char* name :
       {"expert_count", "expert_used_count", "expert_group_count", "expert_group_used_count", "nextn_predict_layers"}) {
    ESCRIBANO_CHECK(keys.absent_or(key(info, name), 0));
  }
  return {};
}

Status check_positions(const KeyReader& keys, const ModelInfo& info) {
  constexpr float max_float = std::numeric_limits<float>::max();
  ESCRIBANO_TRY([[maybe_unused]] const float epsilon, keys.f32(key(info, "attention.layer_norm_rms_epsilon"), 0, 0.1f));
  ESCRIBANO_TRY([[maybe_unused]] const auto base, keys.optional_f32(key(info, "rope.freq_base"), 1, max_float));
  ESCRIBANO_TRY(const auto scaling, keys.optional_string(key(info, "rope.scaling.type")));
  if (scaling && *scaling != "none" && *scaling != "linear" && *scaling != "yarn" && *scaling != "longrope") {
    return fail(Errc::model_invalid, "{}: {} is not a known one", keys.what(), key(info, "rope.scaling.type"));
  }
  const GgufValue* value = keys.header().find(key(info, "rope.dimension_sections"));
  const auto sections = value == nullptr ? std::nullopt : value->as_i32s();
  std::int64_t sum = 0;
  bool fits = sections && sections->size() == 4;
  for (std::size_t i = 0; fits && i < 4; ++i) {
    fits = (*sections)[i] >= 0;
    sum += (*sections)[i];
  }
  // ggml divides by the sum, and asserts that it fits a head.
  if (!fits || sum < 1 || sum > info.head_size) {
    return fail(Errc::model_invalid, "{}: {} must be four i32 whose sum is 1 to the head size ({})", keys.what(),
                key(info, "rope.dimension_sections"), info.head_size);
  }
  return {};
}

Status check_text_layer(const TensorChecker& tensors, const ModelInfo& info, std::uint32_t layer) {
  const std::string blk = fmt::format("blk.{}.", layer);
  const std::uint64_t query = std::uint64_t{info.n_head} * info.head_size;
  const std::uint64_t key = std::uint64_t{info.n_head_kv} * info.head_size;
  ESCRIBANO_CHECK(tensors.vector(blk + "attn_norm.weight", info.n_embd));
  ESCRIBANO_CHECK(tensors.vector(blk + "ffn_norm.weight", info.n_embd));
  if (!is_qwen2(info)) {
    ESCRIBANO_CHECK(tensors.vector(blk + "attn_q_norm.weight", info.head_size));
    ESCRIBANO_CHECK(tensors.vector(blk + "attn_k_norm.weight", info.head_size));
  }
  if (tensors.has(blk + "attn_qkv.weight")) {
    ESCRIBANO_CHECK(tensors.matrix(blk + "attn_qkv.weight", info.n_embd, query + 2 * key));
  } else {
    ESCRIBANO_CHECK(tensors.matrix(blk + "attn_q.weight", info.n_embd, query));
    ESCRIBANO_CHECK(tensors.matrix(blk + "attn_k.weight", info.n_embd, key));
    ESCRIBANO_CHECK(tensors.matrix(blk + "attn_v.weight", info.n_embd, key));
  }
  const struct {
    const char* name;
    std::uint64_t size;
  } biases[] = {{"attn_qkv.bias", query + 2 * key}, {"attn_q.bias", query}, {"attn_k.bias", key}, {"attn_v.bias", key}};
  for (const auto& bias : biases) {
    if (tensors.has(blk + bias.name)) ESCRIBANO_CHECK(tensors.vector(blk + bias.name, bias.size));
  }
  ESCRIBANO_CHECK(tensors.matrix(blk + "attn_output.weight", query, info.n_embd));
  ESCRIBANO_CHECK(tensors.matrix(blk + "ffn_gate.weight", info.n_embd, info.n_ff));
  ESCRIBANO_CHECK(tensors.matrix(blk + "ffn_up.weight", info.n_embd, info.n_ff));
  return tensors.matrix(blk + "ffn_down.weight", info.n_ff, info.n_embd);
}

// llama.cpp asserts that all token texts differ, and reads them as UTF-8.
Status check_tokens(const KeyReader& keys, ModelInfo& info) {
  const GgufValue* value = keys.header().find("tokenizer.ggml.tokens");
  const auto tokens = value == nullptr ? std::nullopt : value->as_strings();
  if (!tokens || tokens->empty() || tokens->size() > max_vocabulary) {
    return fail(Errc::model_invalid, "{}: tokenizer.ggml.tokens must be a list of 1 to {} strings", keys.what(),
                max_vocabulary);
  }
  std::unordered_set<std::string_view> seen;
  seen.reserve(tokens->size());
  for (std::size_t id = 0; id < tokens->size(); ++id) {
    const std::string_view text = (*tokens)[id];
    if (text.empty() || !is_valid_utf8(text) || !seen.insert(text).second) {
      return fail(Errc::model_invalid, "{}: token {} is empty, not UTF-8 or a repetition", keys.what(), id);
    }
  }
  info.vocab_size = static_cast<std::uint32_t>(tokens->size());
  return {};
}

Status check_token_lists(const KeyReader& keys, const ModelInfo& info) {
  if (const GgufValue* types = keys.header().find("tokenizer.ggml.token_type"); types != nullptr) {
    const auto list = types->as_i32s();
    if (!list || list->size() != info.vocab_size) {
      return fail(Errc::model_invalid, "{}: tokenizer.ggml.token_type must be one i32 for each of {} tokens",
                  keys.what(), info.vocab_size);
    }
  }
  if (const GgufValue* scores = keys.header().find("tokenizer.ggml.scores"); scores != nullptr) {
    if (scores->count() != info.vocab_size || (!scores->as_f32s() && !scores->as_i32s())) {
      return fail(Errc::model_invalid, "{}: tokenizer.ggml.scores must be one number for each of {} tokens",
                  keys.what(), info.vocab_size);
    }
  }
  const GgufValue* merges = keys.header().find("tokenizer.ggml.merges");
  const auto list = merges == nullptr ? std::nullopt : merges->as_strings();
  if (!list) return fail(Errc::model_invalid, "{}: tokenizer.ggml.merges must be a list of strings", keys.what());
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::size_t space = (*list)[i].find(' ', 1);
    if (space == std::string_view::npos || space + 1 == (*list)[i].size() || !is_valid_utf8((*list)[i])) {
      return fail(Errc::model_invalid, "{}: merge number {} is not two tokens", keys.what(), i);
    }
  }
  return {};
}

Status check_special_tokens(const KeyReader& keys, const ModelInfo& info) {
  const std::uint32_t last = info.vocab_size - 1;
  // Without it an answer would end only at the token limit.
  ESCRIBANO_TRY([[maybe_unused]] const auto eos, keys.u32("tokenizer.ggml.eos_token_id", 0, last));
  ESCRIBANO_TRY(const auto bos, keys.optional_u32("tokenizer.ggml.bos_token_id", 0, last));
  ESCRIBANO_TRY([[maybe_unused]] const auto pad, keys.optional_u32("tokenizer.ggml.padding_token_id", 0, last));
  ESCRIBANO_TRY(const auto add_bos, keys.optional_bool("tokenizer.ggml.add_bos_token"));
  if (add_bos.value_or(false) && !bos) {
    return fail(Errc::model_invalid, "{}: tokenizer.ggml.add_bos_token without tokenizer.ggml.bos_token_id",
                keys.what());
  }
  return {};
}

Status check_tokenizer(const KeyReader& keys, ModelInfo& info) {
  ESCRIBANO_TRY(const auto model, keys.string("tokenizer.ggml.model"));
  if (model != "gpt2") {
    return fail(Errc::model_invalid, "{}: tokenizer.ggml.model is {} where gpt2 is needed", keys.what(),
                to_valid_utf8(model.substr(0, 40)));
  }
  ESCRIBANO_TRY([[maybe_unused]] const auto pre, keys.string("tokenizer.ggml.pre"));
  ESCRIBANO_CHECK(check_tokens(keys, info));
  ESCRIBANO_CHECK(check_token_lists(keys, info));
  ESCRIBANO_CHECK(check_special_tokens(keys, info));
  ESCRIBANO_TRY(const auto chat_template, keys.optional_string("tokenizer.chat_template"));
  info.has_chat_template = chat_template.has_value();
  return {};
}

// What Qwen2.5-VL's tower has beside the sizes.
Status read_windows(const KeyReader& keys, std::uint32_t projection, ModelInfo& info) {
  // libmtmd shapes its result by this number.
  if (projection != info.n_embd) {
    return fail(Errc::model_invalid,
                "{} does not belong to this language model: it makes features {} wide where {} are taken", keys.what(),
                projection, info.n_embd);
  }
  ESCRIBANO_TRY(const auto silu, keys.optional_bool("clip.use_silu"));
  ESCRIBANO_TRY(const auto gelu, keys.optional_bool("clip.use_gelu"));
  if (!silu.value_or(false) || gelu.value_or(false)) {
    return fail(Errc::model_invalid, "{}: clip.use_silu must be true, and clip.use_gelu not", keys.what());
  }
  ESCRIBANO_TRY(const auto pattern, keys.u32("clip.vision.n_wa_pattern", 0, max_layers + 1));
  // With 1 no layer looks at windows, and libmtmd ends the process because it misses the mask for them.
  if (pattern == 1) return fail(Errc::model_invalid, "{}: clip.vision.n_wa_pattern must not be 1", keys.what());
  if (std::uint64_t{info.patch_size} * info.merge_size > window_px) {
    return fail(Errc::model_invalid, "{}: no image token fits into a window of {} pixels", keys.what(), window_px);
  }
  info.vision_windows = pattern != 0;
  // The rule of Qwen2VLImageProcessor, where the file does not say. The mask for windows has a number for each pair of
  // patches, which libmtmd counts with 31 bits.
  const std::uint32_t token_pixels = info.patch_size * info.merge_size * info.patch_size * info.merge_size;
  info.min_pixels = info.min_pixels.value_or(4 * token_pixels);
  info.max_pixels = std::min(info.max_pixels.value_or(16384 * token_pixels), max_windowed_tokens * token_pixels);
  info.min_pixels = std::min(*info.min_pixels, *info.max_pixels);
  return {};
}

Status read_vision_sizes(const KeyReader& keys, ModelInfo& info, std::uint32_t& layers) {
  ESCRIBANO_TRY(layers, keys.u32("clip.vision.block_count", 1, max_layers));
  info.vision_layers = layers;
  ESCRIBANO_TRY(info.vision_width, keys.u32("clip.vision.embedding_length", 4, max_width / 4));
  const bool qwen2 = is_qwen2(info);
  // Old Qwen2.5-VL files say 0, and libmtmd does not ask.
  ESCRIBANO_TRY(info.vision_ff, keys.u32("clip.vision.feed_forward_length", qwen2 ? 0 : 1, max_width));
  ESCRIBANO_TRY(info.vision_heads, keys.u32("clip.vision.attention.head_count", 1, 1024));
  if (info.vision_width % info.vision_heads != 0 || info.vision_width / info.vision_heads % 4 != 0) {
    return fail(Errc::model_invalid, "{}: a width of {} cannot be split into {} heads of a multiple of 4", keys.what(),
                info.vision_width, info.vision_heads);
  }
  ESCRIBANO_CHECK(keys.absent_or("clip.vision.attention.head_dim", info.vision_width / info.vision_heads));
  ESCRIBANO_CHECK(keys.absent_or("clip.vision.attention.head_count_kv", info.vision_heads));
  ESCRIBANO_TRY([[maybe_unused]] const auto side, keys.u32("clip.vision.image_size", 1, 8192));
  ESCRIBANO_TRY(const auto projection, keys.u32("clip.vision.projection_dim", 1, max_width));
  ESCRIBANO_TRY([[maybe_unused]] const auto epsilon, keys.f32("clip.vision.attention.layer_norm_epsilon", 0, 0.1f));
  ESCRIBANO_TRY(info.patch_size, keys.u32("clip.vision.patch_size", 1, 64));
  ESCRIBANO_TRY(const auto merge, keys.optional_u32("clip.vision.spatial_merge_size", 2, 2));
  info.merge_size = merge.value_or(2);  // libmtmd's default, and what its graph has built in
  ESCRIBANO_TRY(info.min_pixels, keys.optional_u32("clip.vision.image_min_pixels", 1, 1u << 28));
  ESCRIBANO_TRY(info.max_pixels, keys.optional_u32("clip.vision.image_max_pixels", 1, 1u << 28));
  if (info.min_pixels && info.max_pixels && *info.min_pixels > *info.max_pixels) {
    return fail(Errc::model_invalid, "{}: image_min_pixels is above image_max_pixels", keys.what());
  }
  return qwen2 ? read_windows(keys, projection, info) : Status();
}

// What the tensors say where the metadata do not. Of square matrices libmtmd could not tell whether they have each
// other's names.
Status settle_feed_forward(const KeyReader& keys, ModelInfo& info) {
  if (info.vision_ff == 0) {
    const GgufTensor* gate = keys.header().find_tensor("v.blk.0.ffn_gate.weight");
    if (gate != nullptr && gate->dims.size() == 2 && gate->dims[1] <= max_width) {
      info.vision_ff = static_cast<std::uint32_t>(gate->dims[1]);
    }
  }
  if (info.vision_ff != 0 && info.vision_ff != info.vision_width) return {};
  return fail(Errc::model_invalid, "{}: a feed-forward length of {} is not possible", keys.what(), info.vision_ff);
}

Status check_image_range(const KeyReader& keys) {
  for (const char* key : {"clip.vision.image_mean", "clip.vision.image_std"}) {
    const GgufValue* value = keys.header().find(key);
    const auto list = value == nullptr ? std::nullopt : value->as_f32s();
    const bool is_std = std::string_view(key).ends_with("std");
    bool fits = list && list->size() == 3;
    for (std::size_t i = 0; fits && i < 3; ++i) {
      fits = std::abs((*list)[i]) <= 10 && (!is_std || (*list)[i] >= 1e-3f);
    }
    if (!fits) return fail(Errc::model_invalid, "{}: {} must be three sensible f32", keys.what(), key);
  }
  return {};
}

// Every tensor that the vision graph uses, and no other: an unknown one could switch on a branch of the graph that was
// never checked.
class VisionTensors {
 public:
  VisionTensors(const KeyReader& keys, const ModelInfo& info, std::uint32_t layers)
      : keys_(keys), tensors_(keys.header(), keys.what()), info_(info), layers_(layers) {}

  Status check() {
    ESCRIBANO_CHECK(check_stem());
    for (std::uint32_t layer = 0; layer < layers_; ++layer) {
      ESCRIBANO_CHECK(is_qwen2(info_) ? check_gated_layer(layer) : check_layer(layer));
    }
    if (deepstack_count_ != info_.deepstack_count) {
      return fail(Errc::model_invalid, "{} has {} deepstack layers where the language model takes {}", keys_.what(),
                  deepstack_count_, info_.deepstack_count);
    }
    if (keys_.header().tensors().size() != expected_.size()) {
      for (const GgufTensor& tensor : keys_.header().tensors()) {
        if (expected_.contains(std::string(tensor.name))) continue;
        return fail(Errc::model_invalid, "{}: tensor {} is not part of this architecture", keys_.what(),
                    to_valid_utf8(tensor.name));
      }
    }
    return {};
  }

 private:
  Status check_stem() {
    const std::uint64_t px = info_.patch_size;
    const std::uint64_t merged = std::uint64_t{info_.vision_width} * info_.merge_size * info_.merge_size;
    for (const char* name : {"v.patch_embd.weight", "v.patch_embd.weight.1"}) {
      ESCRIBANO_CHECK(tensors_.exact(expect(name), {px, px, 3, info_.vision_width}, true));
    }
    if (is_qwen2(info_)) {
      ESCRIBANO_CHECK(vector("v.post_ln.weight", info_.vision_width));
    } else {
      ESCRIBANO_CHECK(vector("v.patch_embd.bias", info_.vision_width));
      ESCRIBANO_CHECK(check_positions());
      ESCRIBANO_CHECK(norm("v.post_ln", info_.vision_width));
    }
    ESCRIBANO_CHECK(linear("mm.0", merged, merged));
    if (const GgufTensor* last = keys_.header().find_tensor("mm.2.weight");
        last != nullptr && last->dims.size() == 2 && last->dims[1] != info_.n_embd) {
      return fail(Errc::model_invalid,
                  "{} does not belong to this language model: it makes features {} wide where {} are taken",
                  keys_.what(), last->dims[1], info_.n_embd);
    }
    return linear("mm.2", merged, info_.n_embd);
  }

  Status check_positions() {
    const std::string name = expect("v.position_embd.weight");
    const GgufTensor* tensor = keys_.header().find_tensor(name);
    const std::uint64_t count = tensor == nullptr || tensor->dims.size() < 2 ? 1 : tensor->dims[1];
    ESCRIBANO_CHECK(tensors_.exact(name, {info_.vision_width, count}, false));
    const auto side = static_cast<std::uint64_t>(std::llround(std::sqrt(static_cast<double>(count))));
    if (count > (1u << 20) || side * side != count) {
      return fail(Errc::model_invalid, "{}: {} position embeddings do not form a square", keys_.what(), count);
    }
    return {};
  }

  Status check_layer(std::uint32_t layer) {
    const std::string blk = fmt::format("v.blk.{}.", layer);
    const std::uint64_t width = info_.vision_width;
    ESCRIBANO_CHECK(norm(blk + "ln1", width));
    ESCRIBANO_CHECK(norm(blk + "ln2", width));
    ESCRIBANO_CHECK(linear(blk + "attn_qkv", width, 3 * width));
    ESCRIBANO_CHECK(linear(blk + "attn_out", width, width));
    ESCRIBANO_CHECK(linear(blk + "ffn_up", width, info_.vision_ff));
    ESCRIBANO_CHECK(linear(blk + "ffn_down", info_.vision_ff, width));
    const std::string deepstack = fmt::format("v.deepstack.{}.", layer);
    if (!tensors_.has(deepstack + "fc1.weight")) return {};
    ++deepstack_count_;
    const std::uint64_t merged = width * info_.merge_size * info_.merge_size;
    ESCRIBANO_CHECK(norm(deepstack + "norm", merged));
    ESCRIBANO_CHECK(linear(deepstack + "fc1", merged, merged));
    return linear(deepstack + "fc2", merged, info_.n_embd);
  }

  Status check_gated_layer(std::uint32_t layer) {
    const std::string blk = fmt::format("v.blk.{}.", layer);
    const std::uint64_t width = info_.vision_width;
    ESCRIBANO_CHECK(vector(blk + "ln1.weight", width));
    ESCRIBANO_CHECK(vector(blk + "ln2.weight", width));
    for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_out"}) {
      ESCRIBANO_CHECK(linear(blk + part, width, width));
    }
    ESCRIBANO_CHECK(linear(blk + "ffn_gate", width, info_.vision_ff));
    // In old files these two have each other's names; libmtmd knows them by the shape.
    const GgufTensor* down = keys_.header().find_tensor(blk + "ffn_down.weight");
    const bool swapped = down != nullptr && !down->dims.empty() && down->dims[0] == width;
    ESCRIBANO_CHECK(linear(blk + (swapped ? "ffn_down" : "ffn_up"), width, info_.vision_ff));
    return linear(blk + (swapped ? "ffn_up" : "ffn_down"), info_.vision_ff, width);
  }

  std::string expect(std::string name) {
    expected_.insert(name);
    return name;
  }
  Status vector(const std::string& name, std::uint64_t size) { return tensors_.vector(expect(name), size); }
  Status norm(const std::string& name, std::uint64_t size) {
    ESCRIBANO_CHECK(vector(name + ".weight", size));
    return vector(name + ".bias", size);
  }
  Status linear(const std::string& name, std::uint64_t columns, std::uint64_t rows) {
    ESCRIBANO_CHECK(tensors_.matrix(expect(name + ".weight"), columns, rows));
    return vector(name + ".bias", rows);
  }

  KeyReader keys_;
  TensorChecker tensors_;
  ModelInfo info_;  // what was found out so far
  std::uint32_t layers_;
  std::unordered_set<std::string> expected_;
  std::uint32_t deepstack_count_ = 0;
};

}  // namespace

Status check_qwenvl_text(const KeyReader& keys, ModelInfo& info) {
  ESCRIBANO_CHECK(read_text_sizes(keys, info));
  ESCRIBANO_CHECK(check_no_experts(keys, info));
  ESCRIBANO_CHECK(check_positions(keys, info));
  ESCRIBANO_CHECK(check_tokenizer(keys, info));
  const TensorChecker tensors(keys.header(), keys.what());
  ESCRIBANO_CHECK(tensors.matrix("token_embd.weight", info.n_embd, info.vocab_size));
  ESCRIBANO_CHECK(tensors.vector("output_norm.weight", info.n_embd));
  if (tensors.has("output.weight")) ESCRIBANO_CHECK(tensors.matrix("output.weight", info.n_embd, info.vocab_size));
  if (tensors.has("output.bias")) ESCRIBANO_CHECK(tensors.vector("output.bias", info.vocab_size));
  for (std::uint32_t layer = 0; layer < info.n_layer; ++layer) {
    ESCRIBANO_CHECK(check_text_layer(tensors, info, layer));
  }
  return {};
}

Status check_qwenvl_vision(const KeyReader& keys, ModelInfo& info) {
  std::uint32_t layers = 0;
  ESCRIBANO_CHECK(read_vision_sizes(keys, info, layers));
  ESCRIBANO_CHECK(check_image_range(keys));
  if (is_qwen2(info)) ESCRIBANO_CHECK(settle_feed_forward(keys, info));
  return VisionTensors(keys, info, layers).check();
}

}  // namespace escribano::models
