#include "models/model_files.h"

#include <bit>
#include <utility>

#include "base/file.h"
#include "base/utf8.h"
#include "models/check.h"
#include "models/gguf.h"

namespace escribano {
namespace {

using namespace models;

constexpr std::uint32_t any = 0xFFFFFFFF;

// What holds for every language model whatever its architecture: llama.cpp maps the file, and its buffers must be
// aligned as ggml's are; and a model in several files cannot be checked by one of them.
Status check_container(const GgufFile& file, const std::string& what) {
  const GgufHeader& header = file.header();
  if (header.alignment() < 32) {
    return fail(Errc::model_invalid, "{}: general.alignment {} is less than the 32 bytes that ggml needs", what,
                header.alignment());
  }
  if (const GgufValue* count = header.find("split.count"); count != nullptr && count->as_uint().value_or(2) > 1) {
    return fail(Errc::unsupported, "{} is one part of a split model; join its parts with llama-gguf-split --merge",
                what);
  }
  if (header.tensors().empty()) return fail(Errc::model_invalid, "{} holds no weights", what);
  return {};
}

// Sizes of a model of an architecture that is not checked further: taken where they have the usual names and types.
void read_usual_sizes(const GgufHeader& header, ModelInfo& info) {
  const auto number = [&](const char* name) {
    const GgufValue* value = header.find(info.architecture + "." + name);
    return value == nullptr ? 0 : value->as_u32().value_or(0);
  };
  info.n_ctx_train = number("context_length");
  info.n_layer = number("block_count");
  info.n_embd = number("embedding_length");
  info.n_ff = number("feed_forward_length");
  info.n_head = number("attention.head_count");
  info.n_head_kv = number("attention.head_count_kv");
  info.head_size = number("attention.key_length");
  if (info.head_size == 0 && info.n_head != 0) info.head_size = info.n_embd / info.n_head;
  info.deepstack_count = number("n_deepstack_layers");
  if (const GgufValue* tokens = header.find("tokenizer.ggml.tokens"); tokens != nullptr) {
    info.vocab_size = static_cast<std::uint32_t>(tokens->type() == GgufType::array ? tokens->count() : 0);
  }
  info.has_chat_template = header.find("tokenizer.chat_template") != nullptr;
}

Status check_text(const GgufFile& file, const std::string& what, ModelInfo& info) {
  ESCRIBANO_CHECK(check_container(file, what));
  const KeyReader keys(file.header(), what);
  ESCRIBANO_TRY(const auto architecture, keys.string("general.architecture"));
  if (architecture.empty() || architecture.size() > 64 || !is_valid_utf8(architecture)) {
    return fail(Errc::model_invalid, "{}: general.architecture is no name", what);
  }
  info.architecture = architecture;
  if (architecture == "clip") {
    return fail(Errc::model_invalid, "{} is a projector, not a language model; name the model it belongs to", what);
  }
  ESCRIBANO_TRY(info.max_frames_per_prompt, keys.optional_u32("escribano.max_frames_per_prompt", 1, 1024));
  if (architecture == "qwen3vl" || architecture == "qwen2vl") return check_qwenvl_text(keys, info);
  read_usual_sizes(file.header(), info);
  return {};
}

// libmtmd reads these for projectors of every kind, and aborts where one is there in another type.
Status check_projector_key_types(const KeyReader& keys) {
  for (const char* key : {"clip.has_vision_encoder", "clip.has_audio_encoder", "clip.has_gen_audio_encoder",
                          "clip.use_gelu", "clip.use_silu"}) {
    if (const auto checked = keys.optional_bool(key); !checked) return fail(checked.error());
  }
  for (const char* key : {"general.name", "general.description", "clip.projector_type", "clip.vision.projector_type",
                          "clip.vision.mm_patch_merge_type"}) {
    if (const auto checked = keys.optional_string(key); !checked) return fail(checked.error());
  }
  for (const char* key :
       {"clip.vision.embedding_length", "clip.vision.attention.head_count", "clip.vision.attention.head_count_kv",
        "clip.vision.attention.head_dim", "clip.vision.feed_forward_length", "clip.vision.block_count",
        "clip.vision.projection_dim", "clip.vision.image_size", "clip.vision.patch_size", "clip.vision.n_wa_pattern",
        "clip.vision.spatial_merge_size", "clip.vision.image_min_pixels", "clip.vision.image_max_pixels",
        "clip.minicpmv_query_num"}) {
    if (const auto checked = keys.optional_u32(key, 0, any); !checked) return fail(checked.error());
  }
  if (const GgufValue* version = keys.header().find("clip.minicpmv_version");
      version != nullptr && version->type() != GgufType::i32) {
    return fail(Errc::model_invalid, "{}: clip.minicpmv_version must be an i32", keys.what());
  }
  constexpr float limit = 3e38f;
  if (const auto checked = keys.optional_f32("clip.vision.attention.layer_norm_epsilon", -limit, limit); !checked) {
    return fail(checked.error());
  }
  return {};
}

Status check_projector(const GgufFile& file, const std::string& what, ModelInfo& info) {
  ESCRIBANO_CHECK(check_container(file, what));
  const KeyReader keys(file.header(), what);
  ESCRIBANO_TRY(const auto architecture, keys.string("general.architecture"));
  if (architecture != "clip") {
    return fail(Errc::model_invalid, "{} is not a projector: its architecture is {}", what,
                to_valid_utf8(architecture.substr(0, 40)));
  }
  ESCRIBANO_CHECK(check_projector_key_types(keys));
  ESCRIBANO_TRY(const auto has_vision, keys.optional_bool("clip.has_vision_encoder"));
  if (!has_vision.value_or(false)) {
    return fail(Errc::model_invalid, "{} is a projector without a vision tower", what);
  }
  info.has_vision = true;
  ESCRIBANO_TRY(auto type, keys.optional_string("clip.projector_type"));
  if (!type) {
    ESCRIBANO_TRY(type, keys.optional_string("clip.vision.projector_type"));
  }
  if (!type) return fail(Errc::model_invalid, "{} lacks the key clip.projector_type", what);
  info.projector_type = to_valid_utf8(type->substr(0, 64));
  const bool qwen2 = info.architecture == "qwen2vl";
  if (qwen2 && *type == "qwen2vl_merger") {
    return fail(Errc::unsupported, "{} is the projector of a Qwen2-VL model, which is not supported; Qwen2.5-VL is",
                what);
  }
  if (qwen2 || info.architecture == "qwen3vl") {
    ESCRIBANO_TRY(const auto has_audio, keys.optional_bool("clip.has_audio_encoder"));
    ESCRIBANO_TRY(const auto has_speech, keys.optional_bool("clip.has_gen_audio_encoder"));
    if (*type != (qwen2 ? "qwen2.5vl_merger" : "qwen3vl_merger") || has_audio.value_or(false) ||
        has_speech.value_or(false)) {
      return fail(Errc::model_invalid, "{} is a projector of type {}, which does not belong to a {} model", what,
                  info.projector_type, info.architecture);
    }
    return check_qwenvl_vision(keys, info);
  }
  if ((type->starts_with("qwen3vl") && !info.architecture.starts_with("qwen3vl")) || *type == "qwen2.5vl_merger") {
    return fail(Errc::model_invalid, "{} is a projector of type {}, which does not belong to a {} model", what,
                info.projector_type, info.architecture);
  }
  ESCRIBANO_TRY(const auto patch, keys.optional_u32("clip.vision.patch_size", 0, any));
  ESCRIBANO_TRY(const auto merge, keys.optional_u32("clip.vision.spatial_merge_size", 0, any));
  info.patch_size = patch.value_or(0);
  info.merge_size = merge.value_or(1);
  ESCRIBANO_TRY(info.min_pixels, keys.optional_u32("clip.vision.image_min_pixels", 0, any));
  ESCRIBANO_TRY(info.max_pixels, keys.optional_u32("clip.vision.image_max_pixels", 0, any));
  return {};
}

}  // namespace

Result<ModelInfo> check_model(const ModelFiles& files) {
  ModelInfo info;
  ESCRIBANO_TRY(const GgufFile model, GgufFile::open(files.model));
  ESCRIBANO_CHECK(check_text(model, printable(files.model), info));
  info.file_bytes = model.size_bytes();
  if (files.projector.empty()) return info;
  ESCRIBANO_TRY(const GgufFile projector, GgufFile::open(files.projector));
  ESCRIBANO_CHECK(check_projector(projector, printable(files.projector), info));
  info.projector_bytes = projector.size_bytes();
  info.file_bytes += info.projector_bytes;
  return info;
}

Error no_vision_error(const ModelFiles& files) {
  return {Errc::no_vision,
          fmt::format("{} is a text model without a vision tower and cannot look at frames; choose a vision model, or "
                      "name its projector (a .gguf file with mmproj in its name) if it has one",
                      files.name.empty() ? printable(files.model.filename()) : files.name)};
}

}  // namespace escribano
