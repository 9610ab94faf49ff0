#include "models/hf_config.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "base/file.h"
#include "models/json_checks.h"

namespace escribano::models {
namespace {

using nlohmann::json;

constexpr std::uint64_t max_config_bytes = 4u << 20;
// Each limit lies well above the largest model of the family and keeps every product of two below 2^63.
constexpr std::uint64_t max_layers = 512;  // LLAMA_MAX_LAYERS
constexpr std::uint64_t max_width = 1u << 17;
constexpr std::uint64_t max_vocabulary = 1u << 22;
constexpr std::uint64_t max_context = 1u << 26;
constexpr std::uint64_t max_pixels = 1u << 28;
constexpr std::uint32_t window_px = 112;  // a side; what libmtmd has built in

template <class Integer>
Status read_uint(const JsonObject& object, const char* key, std::uint64_t min, std::uint64_t max, Integer& out) {
  ESCRIBANO_TRY(const std::uint64_t value, object.required_uint(key, min, max));
  out = static_cast<Integer>(value);
  return {};
}

Status read_optional_uint(const JsonObject& object, const char* key, std::uint64_t min, std::uint64_t max,
                          std::optional<std::uint32_t>& out) {
  ESCRIBANO_TRY(const auto value, object.optional_uint(key, min, max));
  if (value) out = static_cast<std::uint32_t>(*value);
  return {};
}

Result<std::vector<std::uint64_t>> uint_list(const JsonObject& object, const char* key, std::size_t max_count,
                                             std::uint64_t max) {
  const json* list = object.find(key);
  std::vector<std::uint64_t> values;
  if (list == nullptr) return values;
  if (!list->is_array() || list->size() > max_count) {
    return fail(Errc::corrupt, "{}: {} must be a list of at most {} whole numbers", object.where(), key, max_count);
  }
  for (const json& value : *list) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > max) {
      return fail(Errc::corrupt, "{}: {} must hold whole numbers up to {}", object.where(), key, max);
    }
    values.push_back(value.get<std::uint64_t>());
  }
  return values;
}

// Token ids are written as a number or as a list of them.
Result<std::vector<std::uint64_t>> token_list(const JsonObject& object, const char* key, std::uint32_t vocab_size) {
  const json* value = object.find(key);
  if (value == nullptr || value->is_array()) return uint_list(object, key, 16, vocab_size - 1);
  ESCRIBANO_TRY(const std::uint64_t token, object.required_uint(key, 0, vocab_size - 1));
  return std::vector<std::uint64_t>{token};
}

// Keeps what an earlier object said; of a list the first, which is the one that a model is trained to write.
Status read_token(const JsonObject& object, const char* key, std::uint32_t vocab_size,
                  std::optional<std::uint32_t>& out) {
  ESCRIBANO_TRY(const auto tokens, token_list(object, key, vocab_size));
  if (!out && !tokens.empty()) out = static_cast<std::uint32_t>(tokens.front());
  return {};
}

// Which kind of model the folder holds, before any number of it matters.
Result<ModelFamily> read_family(const JsonObject& config) {
  ESCRIBANO_TRY(const auto model_type, config.optional_string("model_type"));
  if (!model_type) return fail(Errc::corrupt, "{}: model_type is missing", config.where());
  if (*model_type == "qwen3_vl") return ModelFamily::qwen3_vl;
  if (*model_type == "qwen2_5_vl") return ModelFamily::qwen2_5_vl;
  if (config.find("vision_config") == nullptr) {
    return fail(Errc::no_vision, "{} describes a {} model, which has no vision tower and cannot look at images",
                config.where(), model_type->substr(0, 40));
  }
  return fail(Errc::unsupported, "{} describes a {} model; folders of qwen3_vl and qwen2_5_vl models can be imported",
              config.where(), model_type->substr(0, 40));
}

Status read_rope(const JsonObject& text, ModelFamily family, TextConfig& out) {
  // Older files: rope_theta beside rope_scaling. Newer ones: both inside rope_parameters.
  ESCRIBANO_TRY(auto theta, text.optional_number("rope_theta", 1, 1e12));
  std::vector<std::uint64_t> sections;
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    ESCRIBANO_TRY(const auto rope, text.optional_object(key));
    if (!rope) continue;
    for (const char* type_key : {"rope_type", "type"}) {
      ESCRIBANO_TRY(const auto type, rope->optional_string(type_key));
      if (type && *type != "default" && *type != "mrope") {
        return fail(Errc::unsupported, "{}: {} {} is not supported", rope->where(), type_key, type->substr(0, 40));
      }
    }
    ESCRIBANO_TRY(const auto interleaved, rope->optional_bool("mrope_interleaved"));
    const bool needed = family == ModelFamily::qwen3_vl;  // what llama.cpp's graph does
    if (interleaved && *interleaved != needed) {
      return fail(Errc::unsupported, "{}: sections that are {}interleaved are not supported", rope->where(),
                  needed ? "not " : "");
    }
    if (!theta) {
      ESCRIBANO_TRY(theta, rope->optional_number("rope_theta", 1, 1e12));
    }
    if (sections.empty()) {
      ESCRIBANO_TRY(sections, uint_list(*rope, "mrope_section", 3, 1024));
    }
  }
  if (!theta) return fail(Errc::corrupt, "{}: rope_theta is missing", text.where());
  out.rope_theta = static_cast<float>(*theta);
  if (sections.size() != 3 || sections[0] + sections[1] + sections[2] != out.head_size / 2) {
    return fail(Errc::corrupt, "{}: mrope_section must be three numbers whose sum is half the head size ({})",
                text.where(), out.head_size / 2);
  }
  for (std::size_t i = 0; i < 3; ++i) out.rope_sections[i] = static_cast<std::int32_t>(sections[i]);
  return {};
}

// Layers that look back at a part of the text only.
Status check_whole_context(const JsonObject& text) {
  ESCRIBANO_TRY(const auto sliding, text.optional_bool("use_sliding_window"));
  if (sliding.value_or(false)) return fail(Errc::unsupported, "{}: use_sliding_window is not supported", text.where());
  const json* kinds = text.find("layer_types");
  if (kinds == nullptr) return {};
  if (!kinds->is_array() || !std::ranges::all_of(*kinds, [](const json& kind) { return kind == "full_attention"; })) {
    return fail(Errc::unsupported, "{}: layer_types other than full_attention are not supported", text.where());
  }
  return {};
}

// The whole width divided among the heads, and biases that the configuration does not speak of.
Status check_qwen2_text(const JsonObject& text, const TextConfig& config) {
  if (config.head_size * config.heads != config.hidden) {
    return fail(Errc::unsupported, "{}: {} heads of {} do not make up hidden_size {}", text.where(), config.heads,
                config.head_size, config.hidden);
  }
  return check_whole_context(text);
}

Status check_qwen3_text(const JsonObject& text) {
  ESCRIBANO_TRY(const auto bias, text.optional_bool("attention_bias"));
  if (bias.value_or(false)) return fail(Errc::unsupported, "{}: attention_bias is not supported", text.where());
  return {};
}

// Of its own; older Qwen2.5-VL folders have the members among the others of config.json.
Result<JsonObject> text_object(const JsonObject& config, ModelFamily family) {
  if (family == ModelFamily::qwen2_5_vl && config.find("text_config") == nullptr) return config;
  return config.required_object("text_config");
}

Status read_text(const JsonObject& config, ModelFamily family, TextConfig& out) {
  ESCRIBANO_TRY(const JsonObject text, text_object(config, family));
  ESCRIBANO_CHECK(read_uint(text, "vocab_size", 1, max_vocabulary, out.vocab_size));
  ESCRIBANO_CHECK(read_uint(text, "hidden_size", 1, max_width, out.hidden));
  ESCRIBANO_CHECK(read_uint(text, "intermediate_size", 1, max_width * 4, out.intermediate));
  ESCRIBANO_CHECK(read_uint(text, "num_hidden_layers", 1, max_layers, out.layers));
  ESCRIBANO_CHECK(read_uint(text, "num_attention_heads", 1, 1024, out.heads));
  ESCRIBANO_CHECK(read_uint(text, "num_key_value_heads", 1, 1024, out.kv_heads));
  ESCRIBANO_CHECK(read_uint(text, "max_position_embeddings", 1, max_context, out.context));
  if (out.heads % out.kv_heads != 0) {
    return fail(Errc::corrupt, "{}: {} attention heads cannot share {} key-value heads", text.where(), out.heads,
                out.kv_heads);
  }
  ESCRIBANO_TRY(const auto head_size, text.optional_uint("head_dim", 2, 1024));
  out.head_size = head_size ? static_cast<std::uint32_t>(*head_size) : out.hidden / out.heads;
  if (out.head_size < 2 || out.head_size > 1024 || out.head_size % 2 != 0) {
    return fail(Errc::corrupt, "{}: a head size of {} is not possible", text.where(), out.head_size);
  }
  ESCRIBANO_TRY(const double epsilon, text.required_number("rms_norm_eps", 0, 0.1));
  out.rms_epsilon = static_cast<float>(epsilon);
  ESCRIBANO_TRY(const auto activation, text.optional_string("hidden_act"));
  if (activation && *activation != "silu") {
    return fail(Errc::unsupported, "{}: hidden_act {} is not supported", text.where(), activation->substr(0, 40));
  }
  ESCRIBANO_CHECK(family == ModelFamily::qwen3_vl ? check_qwen3_text(text) : check_qwen2_text(text, out));
  ESCRIBANO_CHECK(read_rope(text, family, out));

  ESCRIBANO_TRY(auto tied, text.optional_bool("tie_word_embeddings"));
  if (!tied) {
    ESCRIBANO_TRY(tied, config.optional_bool("tie_word_embeddings"));
  }
  out.tied_head = tied.value_or(false);
  for (const JsonObject* object : {&config, &text}) {
    ESCRIBANO_CHECK(read_token(*object, "bos_token_id", out.vocab_size, out.bos_token));
    ESCRIBANO_CHECK(read_token(*object, "eos_token_id", out.vocab_size, out.eos_token));
    ESCRIBANO_CHECK(read_token(*object, "pad_token_id", out.vocab_size, out.pad_token));
  }
  return {};
}

// Sizes that llama.cpp's graph of this projector has built in.
Status check_fixed(const JsonObject& vision, const char* key, std::uint64_t needed) {
  ESCRIBANO_TRY(const std::uint64_t value, vision.required_uint(key, 1, 1024));
  if (value != needed) {
    return fail(Errc::unsupported, "{}: {} must be {}, not {}", vision.where(), key, needed, value);
  }
  return {};
}

Status check_activation(const JsonObject& object, std::string_view needed) {
  ESCRIBANO_TRY(const auto activation, object.optional_string("hidden_act"));
  if (!activation || *activation == needed) return {};
  return fail(Errc::unsupported, "{}: hidden_act {} is not supported", object.where(), activation->substr(0, 40));
}

// Learned positions and DeepStack.
Status read_qwen3_vision(const JsonObject& vision, const TextConfig& text, VisionConfig& out) {
  ESCRIBANO_CHECK(check_fixed(vision, "in_channels", 3));
  ESCRIBANO_CHECK(check_activation(vision, "gelu_pytorch_tanh"));
  ESCRIBANO_CHECK(read_uint(vision, "num_position_embeddings", 1, 1u << 20, out.positions));
  out.positions_per_side = static_cast<std::uint32_t>(std::lround(std::sqrt(static_cast<double>(out.positions))));
  if (out.positions_per_side * out.positions_per_side != out.positions) {
    return fail(Errc::corrupt, "{}: num_position_embeddings {} is not a square number", vision.where(), out.positions);
  }
  ESCRIBANO_TRY(const auto deepstack, uint_list(vision, "deepstack_visual_indexes", max_layers, out.layers - 1));
  out.deepstack.assign(deepstack.begin(), deepstack.end());
  if (std::set(deepstack.begin(), deepstack.end()).size() != deepstack.size() || deepstack.size() > text.layers) {
    return fail(Errc::corrupt,
                "{}: deepstack_visual_indexes must be different layers, at most one for each layer of "
                "the language model",
                vision.where());
  }
  return {};
}

// Gated layers, and windows.
Status read_qwen2_5_vision(const JsonObject& vision, VisionConfig& out) {
  for (const char* key : {"in_channels", "in_chans"}) {
    if (vision.find(key) != nullptr) ESCRIBANO_CHECK(check_fixed(vision, key, 3));
  }
  ESCRIBANO_CHECK(check_activation(vision, "silu"));
  ESCRIBANO_CHECK(check_fixed(vision, "window_size", window_px));
  // A window must hold a token, and libmtmd takes matrices that are square for ones of old files, which it turns.
  if (out.patch_px * out.merge > window_px || out.intermediate == out.hidden) {
    return fail(Errc::unsupported, "{}: patch_size {} and intermediate_size {} are not supported", vision.where(),
                out.patch_px, out.intermediate);
  }
  ESCRIBANO_TRY(const auto whole, uint_list(vision, "fullatt_block_indexes", max_layers, out.layers - 1));
  // llama.cpp knows a layer by its number: every n-th looks at the whole image.
  const std::uint64_t pattern = whole.empty() ? out.layers + 1 : whole.front() + 1;
  bool regular = whole.size() == out.layers / pattern;
  for (std::size_t i = 0; regular && i < whole.size(); ++i) regular = whole[i] + 1 == (i + 1) * pattern;
  if (!regular) {
    return fail(Errc::unsupported, "{}: fullatt_block_indexes must be every n-th layer", vision.where());
  }
  out.window_pattern = pattern == 1 ? 0 : static_cast<std::uint32_t>(pattern);
  return {};
}

Status read_vision(const JsonObject& config, ModelFamily family, const TextConfig& text, VisionConfig& out) {
  ESCRIBANO_TRY(const JsonObject vision, config.required_object("vision_config"));
  ESCRIBANO_CHECK(read_uint(vision, "depth", 1, max_layers, out.layers));
  ESCRIBANO_CHECK(read_uint(vision, "hidden_size", 1, max_width / 4, out.hidden));
  ESCRIBANO_CHECK(read_uint(vision, "intermediate_size", 1, max_width, out.intermediate));
  ESCRIBANO_CHECK(read_uint(vision, "num_heads", 1, 1024, out.heads));
  ESCRIBANO_CHECK(read_uint(vision, "patch_size", 1, 256, out.patch_px));
  ESCRIBANO_CHECK(check_fixed(vision, "spatial_merge_size", 2));
  ESCRIBANO_CHECK(check_fixed(vision, "temporal_patch_size", 2));
  ESCRIBANO_TRY(const std::uint64_t out_hidden, vision.required_uint("out_hidden_size", 1, max_width));
  if (out_hidden != text.hidden) {
    return fail(Errc::corrupt, "{}: out_hidden_size is {}, but the language model is {} wide", vision.where(),
                out_hidden, text.hidden);
  }
  // Rotary positions take a quarter of a head each for two rows and two columns.
  if (out.hidden % out.heads != 0 || out.hidden / out.heads % 4 != 0) {
    return fail(Errc::corrupt, "{}: hidden_size {} cannot be split into {} heads of a multiple of 4", vision.where(),
                out.hidden, out.heads);
  }
  return family == ModelFamily::qwen3_vl ? read_qwen3_vision(vision, text, out) : read_qwen2_5_vision(vision, out);
}

Status read_triple(const JsonObject& object, const char* key, float min, float max, std::array<float, 3>& out) {
  const json* list = object.find(key);
  const bool fits =
      list != nullptr && list->is_array() && list->size() == 3 && std::ranges::all_of(*list, [&](const json& value) {
        return value.is_number() && value.get<double>() >= static_cast<double>(min) &&
               value.get<double>() <= static_cast<double>(max);
      });
  if (!fits) return fail(Errc::corrupt, "{}: {} must be three numbers from {} to {}", object.where(), key, min, max);
  for (std::size_t i = 0; i < 3; ++i) out[i] = (*list)[i].get<float>();
  return {};
}

Status read_pixel_limits(const JsonObject& object, ImageRule& out) {
  // The explicit spelling wins, as in transformers. "Edges" of this family's processors are areas, despite the name.
  ESCRIBANO_CHECK(read_optional_uint(object, "min_pixels", 1, max_pixels, out.min_pixels));
  ESCRIBANO_CHECK(read_optional_uint(object, "max_pixels", 1, max_pixels, out.max_pixels));
  ESCRIBANO_TRY(const auto size, object.optional_object("size"));
  if (size) {
    if (!out.min_pixels) ESCRIBANO_CHECK(read_optional_uint(*size, "shortest_edge", 1, max_pixels, out.min_pixels));
    if (!out.max_pixels) ESCRIBANO_CHECK(read_optional_uint(*size, "longest_edge", 1, max_pixels, out.max_pixels));
  }
  if (out.min_pixels && out.max_pixels && *out.min_pixels > *out.max_pixels) {
    return fail(Errc::corrupt, "{}: at least {} and at most {} pixels cannot both hold", object.where(),
                *out.min_pixels, *out.max_pixels);
  }
  return {};
}

Status check_agrees(const JsonObject& object, const char* key, std::uint64_t expected) {
  ESCRIBANO_TRY(const auto value, object.optional_uint(key, 1, 1024));
  if (value && *value != expected) {
    return fail(Errc::corrupt, "{}: {} is {}, but config.json says {}", object.where(), key, *value, expected);
  }
  return {};
}

Status read_image_rule(const std::filesystem::path& folder, const VisionConfig& vision, ImageRule& out) {
  std::error_code ignored;
  const bool old_name = std::filesystem::exists(folder / "preprocessor_config.json", ignored);
  const std::filesystem::path path = folder / (old_name ? "preprocessor_config.json" : "processor_config.json");
  auto document = read_json_object(path, max_config_bytes);
  if (!document && document.error().code == Errc::not_found) {
    return fail(Errc::not_found, "{} has neither preprocessor_config.json nor processor_config.json",
                printable(folder));
  }
  if (!document) return fail(std::move(document).error());
  JsonObject object(*document, printable(path));
  if (!old_name) {
    ESCRIBANO_TRY(object, object.required_object("image_processor"));
  }
  ESCRIBANO_CHECK(read_triple(object, "image_mean", -10, 10, out.mean));
  ESCRIBANO_CHECK(read_triple(object, "image_std", 1e-3f, 10, out.std_dev));
  ESCRIBANO_CHECK(check_agrees(object, "patch_size", vision.patch_px));
  ESCRIBANO_CHECK(check_agrees(object, "merge_size", vision.merge));
  return read_pixel_limits(object, out);
}

Status read_stop_tokens(const std::filesystem::path& folder, HfConfig& out) {
  const std::filesystem::path path = folder / "generation_config.json";
  auto document = read_json_object(path, max_config_bytes);
  if (!document && document.error().code == Errc::not_found) return {};  // optional in a Hugging Face folder
  if (!document) return fail(std::move(document).error());
  const JsonObject object(*document, printable(path));
  ESCRIBANO_TRY(const auto tokens, token_list(object, "eos_token_id", out.text.vocab_size));
  out.stop_tokens.assign(tokens.begin(), tokens.end());
  return {};
}

Status read_own_settings(const std::filesystem::path& folder, HfConfig& out) {
  const std::filesystem::path path = folder / "escribano.json";
  auto document = read_json_object(path, max_config_bytes);
  if (!document && document.error().code == Errc::not_found) return {};
  if (!document) return fail(std::move(document).error());
  for (const auto& [key, value] : document->items()) {
    if (key != "max_frames_per_prompt") {
      return fail(Errc::corrupt, "{}: unknown setting {}", printable(path), key.substr(0, 40));
    }
  }
  return read_optional_uint(JsonObject(*document, printable(path)), "max_frames_per_prompt", 1, 1024,
                            out.max_frames_per_prompt);
}

}  // namespace

std::string_view architecture_name(ModelFamily family) noexcept {
  switch (family) {
    case ModelFamily::qwen3_vl: return "qwen3vl";
    case ModelFamily::qwen2_5_vl: return "qwen2vl";
  }
  return "";
}

Result<HfConfig> read_hf_config(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "config.json";
  ESCRIBANO_TRY(const json document, read_json_object(path, max_config_bytes));
  const JsonObject config(document, printable(path));
  HfConfig result;
  ESCRIBANO_TRY(result.family, read_family(config));
  ESCRIBANO_TRY(result.quantization, read_mlx_quantization(config));
  ESCRIBANO_CHECK(read_text(config, result.family, result.text));
  ESCRIBANO_CHECK(read_vision(config, result.family, result.text, result.vision));
  ESCRIBANO_CHECK(read_image_rule(folder, result.vision, result.image));
  ESCRIBANO_CHECK(read_stop_tokens(folder, result));
  ESCRIBANO_CHECK(read_own_settings(folder, result));
  return result;
}

}  // namespace escribano::models
