#include "models/model_files.h"

#include <cmath>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/gguf.h"
#include "models/gguf_writer.h"
#include "models/import.h"
#include "models/tiny_model.h"
#include "models/tiny_qwen25vl.h"
#include "support/temp_folder.h"

namespace escribano::models {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

using Strings = std::vector<std::string>;
using Ints = std::vector<std::int32_t>;
using Floats = std::vector<float>;
using Bools = std::vector<bool>;
using Value = std::variant<std::uint32_t, float, bool, std::string, Strings, Ints, Floats, Bools>;

// A GGUF file to change and write again. Tensor data becomes zeros: checks never look at it.
class EditableGguf {
 public:
  explicit EditableGguf(const fs::path& path) {
    const auto file = GgufFile::open(path);
    if (!file) throw std::runtime_error(file.error().message);
    for (const auto& [key, value] : file->header().metadata()) keys.emplace_back(std::string(key), copy(value));
    for (const GgufTensor& tensor : file->header().tensors()) {
      tensors.push_back({std::string(tensor.name), tensor.dims, static_cast<GgmlType>(tensor.type)});
    }
  }

  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> dims;
    GgmlType type;
  };

  void set(const std::string& key, Value value) {
    erase(key);
    keys.emplace_back(key, std::move(value));
  }
  void erase(const std::string& key) {
    std::erase_if(keys, [&](const auto& entry) { return entry.first == key; });
  }
  Value& value(const std::string& key) {
    for (auto& [name, found] : keys) {
      if (name == key) return found;
    }
    throw std::runtime_error("no key " + key);
  }
  Tensor& tensor(const std::string& name) {
    for (Tensor& found : tensors) {
      if (found.name == name) return found;
    }
    throw std::runtime_error("no tensor " + name);
  }
  void erase_tensor(const std::string& name) {
    std::erase_if(tensors, [&](const Tensor& found) { return found.name == name; });
  }

  void write(const fs::path& path) const {
    GgufBuilder builder;
    for (const auto& [key, value] : keys) add(builder, key, value);
    for (const Tensor& found : tensors) builder.add_tensor(found.name, found.dims, found.type);
    std::string bytes = builder.header();
    bytes.resize(static_cast<std::size_t>(builder.file_bytes()));
    write_bytes(path, bytes);
  }

  std::vector<std::pair<std::string, Value>> keys;
  std::vector<Tensor> tensors;

 private:
  static Value copy(const GgufValue& value) {
    if (const auto number = value.as_u32()) return *number;
    if (const auto number = value.as_f32()) return *number;
    if (const auto flag = value.as_bool()) return *flag;
    if (const auto text = value.as_string()) return std::string(*text);
    if (const auto list = value.as_strings()) return Strings(list->begin(), list->end());
    if (const auto list = value.as_i32s()) return *list;
    if (const auto list = value.as_f32s()) return *list;
    return *value.as_bools();
  }

  static void add(GgufBuilder& builder, const std::string& key, const Value& value) {
    if (const auto* number = std::get_if<std::uint32_t>(&value)) builder.add_u32(key, *number);
    if (const auto* number = std::get_if<float>(&value)) builder.add_f32(key, *number);
    if (const auto* flag = std::get_if<bool>(&value)) builder.add_bool(key, *flag);
    if (const auto* text = std::get_if<std::string>(&value)) builder.add_string(key, *text);
    if (const auto* list = std::get_if<Strings>(&value)) builder.add_strings(key, *list);
    if (const auto* list = std::get_if<Ints>(&value)) builder.add_i32s(key, *list);
    if (const auto* list = std::get_if<Floats>(&value)) builder.add_f32s(key, *list);
    if (const auto* list = std::get_if<Bools>(&value)) builder.add_bools(key, *list);
  }
};

ModelFiles made_pair(const TinyModel& model, const fs::path& folder) {
  model.write(folder / "tiny");
  auto made = import_folder(folder / "tiny", folder / "cache");
  if (!made) throw std::runtime_error(made.error().message);
  return *std::move(made);
}

// Sound pairs, made once for all cases.
const ModelFiles& sound_pair() {
  static const TempFolder folder;
  static const ModelFiles files = made_pair(TinyModel(), folder.path());
  return files;
}
const ModelFiles& qwen25vl_pair() {
  static const TempFolder folder;
  static const ModelFiles files = made_pair(tiny_qwen25vl(), folder.path());
  return files;
}

struct BadPair {
  const char* title;
  std::function<void(EditableGguf& model, EditableGguf& projector)> change;
  const char* message;
  Errc code = Errc::model_invalid;

  friend void PrintTo(const BadPair& pair, std::ostream* out) { *out << pair.title; }
};

Result<ModelInfo> check_changed(const ModelFiles& sound,
                                const std::function<void(EditableGguf& model, EditableGguf& projector)>& change) {
  const TempFolder folder;
  EditableGguf model(sound.model);
  EditableGguf projector(sound.projector);
  change(model, projector);
  const ModelFiles files{folder.path() / "model.gguf", folder.path() / "mmproj.gguf", "m"};
  model.write(files.model);
  projector.write(files.projector);
  return check_model(files);
}

class CheckModelRefuses : public testing::TestWithParam<BadPair> {};

TEST_P(CheckModelRefuses, ThePair) {
  const auto info = check_changed(sound_pair(), GetParam().change);
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, GetParam().code) << info.error().message;
  EXPECT_THAT(info.error().message, HasSubstr(GetParam().message));
}

class CheckQwen25VlRefuses : public testing::TestWithParam<BadPair> {};

TEST_P(CheckQwen25VlRefuses, ThePair) {
  const auto info = check_changed(qwen25vl_pair(), GetParam().change);
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, GetParam().code) << info.error().message;
  EXPECT_THAT(info.error().message, HasSubstr(GetParam().message));
}

auto set_text(const char* key, Value value) {
  return [key, value](EditableGguf& model, EditableGguf&) { model.set(key, value); };
}
auto set_vision(const char* key, Value value) {
  return [key, value](EditableGguf&, EditableGguf& projector) { projector.set(key, value); };
}
auto erase_text(const char* key) {
  return [key](EditableGguf& model, EditableGguf&) { model.erase(key); };
}
auto erase_vision(const char* key) {
  return [key](EditableGguf&, EditableGguf& projector) { projector.erase(key); };
}
auto text_tensor(const char* name, std::vector<std::uint64_t> dims, GgmlType type) {
  return [=](EditableGguf& model, EditableGguf&) {
    model.tensor(name).dims = dims;
    model.tensor(name).type = type;
  };
}
auto vision_tensor(const char* name, std::vector<std::uint64_t> dims, GgmlType type) {
  return [=](EditableGguf&, EditableGguf& projector) {
    projector.tensor(name).dims = dims;
    projector.tensor(name).type = type;
  };
}
auto without_text_tensor(const char* name) {
  return [=](EditableGguf& model, EditableGguf&) { model.erase_tensor(name); };
}
auto without_vision_tensor(const char* name) {
  return [=](EditableGguf&, EditableGguf& projector) { projector.erase_tensor(name); };
}

constexpr GgmlType f16 = GgmlType::f16;
constexpr GgmlType f32 = GgmlType::f32;
constexpr GgmlType q8_k = static_cast<GgmlType>(15);

INSTANTIATE_TEST_SUITE_P(
    Text, CheckModelRefuses,
    testing::Values(
        BadPair{"NoArchitecture", erase_text("general.architecture"), "general.architecture"},
        BadPair{"ProjectorInPlaceOfModel", set_text("general.architecture", "clip"), "is a projector"},
        BadPair{"NoBlocks", set_text("qwen3vl.block_count", 0u), "qwen3vl.block_count"},
        BadPair{"TooManyBlocks", set_text("qwen3vl.block_count", 513u), "qwen3vl.block_count"},
        BadPair{"BlocksOfAnotherType", set_text("qwen3vl.block_count", "2"), "qwen3vl.block_count"},
        BadPair{"MoreBlocksThanTensors", set_text("qwen3vl.block_count", 3u), "blk.2."},
        BadPair{"NoContext", erase_text("qwen3vl.context_length"), "qwen3vl.context_length"},
        BadPair{"NoHeads", set_text("qwen3vl.attention.head_count", 0u), "head_count"},
        BadPair{"HeadsThatDoNotShare",
                [](EditableGguf& model, EditableGguf&) {
                  model.set("qwen3vl.attention.head_count", 3u);
                  model.set("qwen3vl.attention.head_count_kv", 2u);
                },
                "cannot share"},
        BadPair{"KeysAndValuesDiffer", set_text("qwen3vl.attention.value_length", 8u), "one even size"},
        BadPair{"RotatesPartOfAHead", set_text("qwen3vl.rope.dimension_count", 2u), "dimension_count"},
        BadPair{"NoEpsilon", erase_text("qwen3vl.attention.layer_norm_rms_epsilon"), "rms_epsilon"},
        BadPair{"EpsilonNotANumber", set_text("qwen3vl.attention.layer_norm_rms_epsilon", std::nanf("")),
                "rms_epsilon"},
        BadPair{"NoSections", erase_text("qwen3vl.rope.dimension_sections"), "dimension_sections"},
        BadPair{"ThreeSections", set_text("qwen3vl.rope.dimension_sections", Ints{1, 1, 0}), "dimension_sections"},
        BadPair{"SectionsOfNothing", set_text("qwen3vl.rope.dimension_sections", Ints{0, 0, 0, 0}),
                "dimension_sections"},
        BadPair{"NegativeSection", set_text("qwen3vl.rope.dimension_sections", Ints{3, -1, 0, 0}),
                "dimension_sections"},
        BadPair{"SectionsBeyondAHead", set_text("qwen3vl.rope.dimension_sections", Ints{24, 20, 20, 0}),
                "dimension_sections"},
        BadPair{"UnknownRopeScaling", set_text("qwen3vl.rope.scaling.type", "spiral"), "scaling.type"},
        BadPair{"Experts", set_text("qwen3vl.expert_count", 4u), "expert_count"},
        BadPair{"ExpertsInUse", set_text("qwen3vl.expert_used_count", 4u), "expert_used_count"},
        BadPair{"MoreDeepstackThanBlocks", set_text("qwen3vl.n_deepstack_layers", 3u), "n_deepstack_layers"},
        BadPair{"FramesOfAnotherType", set_text("escribano.max_frames_per_prompt", "6"), "max_frames_per_prompt"},
        BadPair{"OtherTokenizer", set_text("tokenizer.ggml.model", "llama"), "gpt2"},
        BadPair{"NoTokenizer", erase_text("tokenizer.ggml.tokens"), "tokenizer.ggml.tokens"},
        BadPair{"TokensOfAnotherType", set_text("tokenizer.ggml.tokens", Ints{1, 2}), "tokenizer.ggml.tokens"},
        BadPair{"FewerTokensThanEmbeddings", set_text("tokenizer.ggml.tokens", Strings{"a", "b"}), "token_type"},
        BadPair{"TwoTokensAlike",
                [](EditableGguf& model, EditableGguf&) {
                  std::get<Strings>(model.value("tokenizer.ggml.tokens"))[1] = "a";
                },
                "token 1"},
        BadPair{"TokenNotUtf8",
                [](EditableGguf& model, EditableGguf&) {
                  std::get<Strings>(model.value("tokenizer.ggml.tokens"))[2] = "\xC4";
                },
                "token 2"},
        BadPair{"ShortTypes", set_text("tokenizer.ggml.token_type", Ints{1}), "token_type"},
        BadPair{"ShortScores", set_text("tokenizer.ggml.scores", Floats{1}), "scores"},
        BadPair{"NoMerges", erase_text("tokenizer.ggml.merges"), "merges"},
        BadPair{"MergeOfOne", set_text("tokenizer.ggml.merges", Strings{"a b", "ab"}), "merge number 1"},
        BadPair{"NoEndToken", erase_text("tokenizer.ggml.eos_token_id"), "eos_token_id"},
        BadPair{"EndTokenOutside", set_text("tokenizer.ggml.eos_token_id", 16u), "eos_token_id"},
        BadPair{"StartTokenToAddButNone", set_text("tokenizer.ggml.add_bos_token", true), "add_bos_token"},
        BadPair{"TemplateOfAnotherType", set_text("tokenizer.chat_template", 1u), "chat_template"},
        BadPair{"NoEmbedding", without_text_tensor("token_embd.weight"), "token_embd.weight"},
        BadPair{"NoNorm", without_text_tensor("blk.1.attn_norm.weight"), "blk.1.attn_norm.weight"},
        BadPair{"NormInHalfPrecision", text_tensor("blk.0.attn_norm.weight", {8}, f16),
                "must have the element type F32"},
        BadPair{"MatrixTurned", text_tensor("blk.0.attn_k.weight", {4, 8}, f16), "blk.0.attn_k.weight is [4, 8]"},
        BadPair{"MatrixWithAThirdDimension", text_tensor("blk.0.attn_k.weight", {8, 4, 2}, f16), "blk.0.attn_k.weight"},
        BadPair{"HeadOfAnotherVocabulary",
                [](EditableGguf& model, EditableGguf&) { model.tensors.push_back({"output.weight", {8, 15}, f16}); },
                "output.weight"},
        BadPair{"BiasOfAnotherSize",
                [](EditableGguf& model, EditableGguf&) { model.tensors.push_back({"blk.0.attn_q.bias", {7}, f32}); },
                "blk.0.attn_q.bias"},
        BadPair{"NoWeights", [](EditableGguf& model, EditableGguf&) { model.tensors.clear(); }, "no weights"},
        BadPair{"SplitFile", set_text("split.count", 2u), "split", Errc::unsupported}),
    [](const auto& case_info) { return case_info.param.title; });

INSTANTIATE_TEST_SUITE_P(
    Vision, CheckModelRefuses,
    testing::Values(
        BadPair{"ModelInPlaceOfProjector", set_vision("general.architecture", "qwen3vl"), "not a projector"},
        BadPair{"NoVision", erase_vision("clip.has_vision_encoder"), "without a vision tower"},
        BadPair{"VisionOfAnotherType", set_vision("clip.has_vision_encoder", 1u), "clip.has_vision_encoder"},
        BadPair{"AudioToo", set_vision("clip.has_audio_encoder", true), "does not belong"},
        BadPair{"OtherProjector", set_vision("clip.projector_type", "ldp"), "type ldp"},
        BadPair{"NoProjectorType", erase_vision("clip.projector_type"), "clip.projector_type"},
        BadPair{"NameOfAnotherType", set_vision("general.name", 1u), "general.name"},
        BadPair{"GeluOfAnotherType", set_vision("clip.use_gelu", 1u), "clip.use_gelu"},
        BadPair{"NoLayers", set_vision("clip.vision.block_count", 0u), "block_count"},
        BadPair{"TwoThousandMillionLayers", set_vision("clip.vision.block_count", 2'000'000'000u), "block_count"},
        BadPair{"NoVisionHeads", set_vision("clip.vision.attention.head_count", 0u), "head_count"},
        BadPair{"HeadsOfTwo", set_vision("clip.vision.attention.head_count", 4u), "heads of a multiple of 4"},
        BadPair{"OtherHeadSize", set_vision("clip.vision.attention.head_dim", 8u), "head_dim"},
        BadPair{"NoPatch", set_vision("clip.vision.patch_size", 0u), "patch_size"},
        BadPair{"OtherPatch", set_vision("clip.vision.patch_size", 4u), "v.patch_embd.weight"},
        BadPair{"OtherMerge", set_vision("clip.vision.spatial_merge_size", 4u), "spatial_merge_size"},
        BadPair{"NoImageSize", erase_vision("clip.vision.image_size"), "image_size"},
        BadPair{"NoEpsilon", erase_vision("clip.vision.attention.layer_norm_epsilon"), "layer_norm_epsilon"},
        BadPair{"PixelsOfAnotherType", set_vision("clip.vision.image_max_pixels", 1.0f), "image_max_pixels"},
        BadPair{"PixelsTheWrongWayRound", set_vision("clip.vision.image_min_pixels", 2048u), "image_min_pixels"},
        BadPair{"NoMean", erase_vision("clip.vision.image_mean"), "image_mean"},
        BadPair{"StdOfZero", set_vision("clip.vision.image_std", Floats{0, 1, 1}), "image_std"},
        BadPair{"NoQkvBias", without_vision_tensor("v.blk.0.attn_qkv.bias"), "v.blk.0.attn_qkv.bias"},
        BadPair{"NoPatchBias", without_vision_tensor("v.patch_embd.bias"), "v.patch_embd.bias"},
        BadPair{"NoSecondSlice", without_vision_tensor("v.patch_embd.weight.1"), "v.patch_embd.weight.1"},
        BadPair{"PositionsInHalfPrecision", vision_tensor("v.position_embd.weight", {8, 16}, f16),
                "v.position_embd.weight"},
        BadPair{"PositionsNotSquare", vision_tensor("v.position_embd.weight", {8, 15}, f32), "square"},
        BadPair{"ProjectorOfAnotherWidth",
                [](EditableGguf&, EditableGguf& projector) {
                  projector.tensor("mm.2.weight").dims = {32, 16};
                  projector.tensor("mm.2.bias").dims = {16};
                },
                "makes features 16 wide where 8 are taken"},
        BadPair{"PatchKernelCannotBeConvolved", vision_tensor("v.patch_embd.weight", {2, 2, 3, 8}, GgmlType::bf16),
                "F32 or F16"},
        BadPair{"HalfADeepstackLayer", without_vision_tensor("v.deepstack.1.fc2.weight"), "v.deepstack.1.fc2.weight"},
        BadPair{"FewerDeepstackLayersThanTheModelTakes",
                [](EditableGguf&, EditableGguf& projector) {
                  std::erase_if(projector.tensors,
                                [](const auto& tensor) { return tensor.name.starts_with("v.deepstack."); });
                },
                "0 deepstack layers where the language model takes 1"},
        BadPair{"UnknownTensor",
                [](EditableGguf&, EditableGguf& projector) {
                  projector.tensors.push_back({"v.class_embd", {8}, f32});
                },
                "v.class_embd"}),
    [](const auto& case_info) { return case_info.param.title; });

INSTANTIATE_TEST_SUITE_P(
    Bad, CheckQwen25VlRefuses,
    testing::Values(
        BadPair{"NoBlocks", set_text("qwen2vl.block_count", 0u), "qwen2vl.block_count"},
        BadPair{"NarrowHeads",
                [](EditableGguf& model, EditableGguf&) {
                  model.set("qwen2vl.attention.key_length", 8u);
                  model.set("qwen2vl.attention.value_length", 8u);
                },
                "4 heads of 8 do not make up a width of 64"},
        BadPair{"NoSections", erase_text("qwen2vl.rope.dimension_sections"), "qwen2vl.rope.dimension_sections"},
        BadPair{"NoEpsilon", erase_text("qwen2vl.attention.layer_norm_rms_epsilon"), "rms_epsilon"},
        BadPair{"Experts", set_text("qwen2vl.expert_count", 4u), "qwen2vl.expert_count"},
        BadPair{"BiasOfAnotherSize", text_tensor("blk.1.attn_k.bias", {64}, f32), "blk.1.attn_k.bias"},
        BadPair{"HeadBiasOfAnotherSize",
                [](EditableGguf& model, EditableGguf&) {
                  model.tensors.push_back({"output.bias", {319}, f32});
                },
                "output.bias"},
        BadPair{"NoFeedForward", without_text_tensor("blk.0.ffn_up.weight"), "blk.0.ffn_up.weight"},
        BadPair{"OfQwen2Vl", set_vision("clip.projector_type", "qwen2vl_merger"), "a Qwen2-VL model",
                Errc::unsupported},
        BadPair{"OfQwen3Vl", set_vision("clip.projector_type", "qwen3vl_merger"), "does not belong to a qwen2vl model"},
        BadPair{"OfOmni", set_vision("clip.projector_type", "qwen2.5o"), "does not belong to a qwen2vl model"},
        BadPair{"AudioToo", set_vision("clip.has_audio_encoder", true), "does not belong"},
        BadPair{"OfAWiderModel", set_vision("clip.vision.projection_dim", 128u),
                "makes features 128 wide where 64 are taken"},
        BadPair{"LastMatrixOfAWiderModel",
                [](EditableGguf&, EditableGguf& projector) {
                  projector.tensor("mm.2.weight").dims = {128, 128};
                  projector.tensor("mm.2.bias").dims = {128};
                },
                "makes features 128 wide where 64 are taken"},
        BadPair{"NoSilu", erase_vision("clip.use_silu"), "clip.use_silu"},
        BadPair{"SiluAndGelu", set_vision("clip.use_gelu", true), "clip.use_gelu"},
        BadPair{"NoPattern", erase_vision("clip.vision.n_wa_pattern"), "n_wa_pattern"},
        BadPair{"WholeLayersOnlyByPattern", set_vision("clip.vision.n_wa_pattern", 1u), "must not be 1"},
        BadPair{"EndlessPattern", set_vision("clip.vision.n_wa_pattern", 514u), "n_wa_pattern"},
        BadPair{"PatchBeyondAWindow", set_vision("clip.vision.patch_size", 57u), "no image token fits"},
        BadPair{"SquareFeedForward", set_vision("clip.vision.feed_forward_length", 32u), "feed-forward length of 32"},
        BadPair{"NoFeedForwardLengthAtAll",
                [](EditableGguf&, EditableGguf& projector) {
                  projector.set("clip.vision.feed_forward_length", 0u);
                  projector.erase_tensor("v.blk.0.ffn_gate.weight");
                },
                "feed-forward length of 0"},
        BadPair{"NoGate", without_vision_tensor("v.blk.1.ffn_gate.weight"), "v.blk.1.ffn_gate.weight"},
        BadPair{"NoGateBias", without_vision_tensor("v.blk.1.ffn_gate.bias"), "v.blk.1.ffn_gate.bias"},
        BadPair{"NoKeys", without_vision_tensor("v.blk.0.attn_k.weight"), "v.blk.0.attn_k.weight"},
        BadPair{"NoLastNorm", without_vision_tensor("v.post_ln.weight"), "v.post_ln.weight"},
        BadPair{"PatchBias",
                [](EditableGguf&, EditableGguf& projector) {
                  projector.tensors.push_back({"v.patch_embd.bias", {32}, f32});
                },
                "v.patch_embd.bias is not part"},
        BadPair{"NormBias",
                [](EditableGguf&, EditableGguf& projector) {
                  projector.tensors.push_back({"v.blk.0.ln1.bias", {32}, f32});
                },
                "v.blk.0.ln1.bias is not part"}),
    [](const auto& case_info) { return case_info.param.title; });

TEST(CheckQwen25Vl, AcceptsOldFilesWithTheFeedForwardMatricesInEachOthersPlace) {
  const auto info = check_changed(qwen25vl_pair(), [](EditableGguf&, EditableGguf& projector) {
    projector.set("clip.vision.feed_forward_length", 0u);
    for (const char* layer : {"v.blk.0.", "v.blk.1.", "v.blk.2.", "v.blk.3."}) {
      for (const char* part : {".weight", ".bias"}) {
        std::swap(projector.tensor(std::string(layer) + "ffn_up" + part).dims,
                  projector.tensor(std::string(layer) + "ffn_down" + part).dims);
      }
    }
  });
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->vision_ff, 48u);
}

TEST(CheckQwen25Vl, KnowsHowManyPixelsTheModelWants) {
  const auto pixels = [](const auto& change) {
    const ModelInfo info = check_changed(qwen25vl_pair(), change).value();
    return std::pair(*info.min_pixels, *info.max_pixels);
  };
  // Published pairs do not say. Above 11585 tokens libmtmd would count the mask of the windows beyond 31 bits.
  EXPECT_EQ(pixels([](EditableGguf&, EditableGguf& projector) {
              projector.erase("clip.vision.image_min_pixels");
              projector.erase("clip.vision.image_max_pixels");
            }),
            std::pair(3136u, 11585u * 784));
  EXPECT_EQ(pixels(set_vision("clip.vision.image_max_pixels", 1003520u)), std::pair(3136u, 1003520u));
}

TEST(CheckQwen25Vl, ItsProjectorBelongsToNoOtherModel) {
  EXPECT_THAT(check_model({sound_pair().model, qwen25vl_pair().projector, "m"}).error().message,
              HasSubstr("qwen2.5vl_merger, which does not belong to a qwen3vl model"));
  EXPECT_THAT(check_changed(qwen25vl_pair(), set_text("general.architecture", "llama")).error().message,
              HasSubstr("qwen2.5vl_merger, which does not belong to a llama model"));
}

TEST(CheckModel, RefusesMatricesThatCannotBeMultiplied) {
  const TempFolder folder;
  // Wide enough for a block of 256 elements.
  TinyModel tiny;
  tiny.write(folder.path() / "tiny");
  EditableGguf model(sound_pair().model);
  model.set("qwen3vl.feed_forward_length", 256u);
  for (const char* layer : {"blk.0.", "blk.1."}) {
    model.tensor(std::string(layer) + "ffn_gate.weight").dims = {8, 256};
    model.tensor(std::string(layer) + "ffn_up.weight").dims = {8, 256};
    model.tensor(std::string(layer) + "ffn_down.weight") = {std::string(layer) + "ffn_down.weight", {256, 8}, q8_k};
  }
  model.write(folder.path() / "m.gguf");
  const auto info = check_model({folder.path() / "m.gguf", {}, "m"});
  ASSERT_FALSE(info);
  EXPECT_THAT(info.error().message, HasSubstr("Q8_K, which cannot be multiplied"));
}

TEST(CheckModel, AcceptsAPairThatWasRewrittenUnchanged) {
  const TempFolder folder;
  EditableGguf(sound_pair().model).write(folder.path() / "m.gguf");
  EditableGguf(sound_pair().projector).write(folder.path() / "p.gguf");
  const auto info = check_model({folder.path() / "m.gguf", folder.path() / "p.gguf", "m"});
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_TRUE(info->has_vision);
}

TEST(CheckModel, KnowsATextModel) {
  const ModelFiles text{sound_pair().model, {}, "some-text-model"};
  const auto info = check_model(text);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_FALSE(info->has_vision);
  EXPECT_EQ(info->projector_type, "");
  const Error error = no_vision_error(text);
  EXPECT_EQ(error.code, Errc::no_vision);
  EXPECT_THAT(error.message, HasSubstr("some-text-model"));
}

TEST(CheckModel, ChecksOnlyTheContainersOfOtherArchitectures) {
  const TempFolder folder;
  EditableGguf model(sound_pair().model);
  model.set("general.architecture", "gemma9");
  model.set("gemma9.block_count", 5u);
  model.set("gemma9.embedding_length", 64u);
  model.set("gemma9.attention.head_count", 4u);
  model.write(folder.path() / "m.gguf");
  EditableGguf projector(sound_pair().projector);
  projector.set("clip.projector_type", "gemma9");
  projector.erase_tensor("mm.2.weight");
  projector.write(folder.path() / "p.gguf");
  const auto info = check_model({folder.path() / "m.gguf", folder.path() / "p.gguf", "m"});
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->architecture, "gemma9");
  EXPECT_EQ(info->n_layer, 5u);
  EXPECT_EQ(info->head_size, 16u);
  EXPECT_EQ(info->projector_type, "gemma9");
  EXPECT_TRUE(info->has_vision);
}

TEST(CheckModel, RefusesAProjectorOfAnotherFamily) {
  const TempFolder folder;
  EditableGguf model(sound_pair().model);
  model.set("general.architecture", "llama");
  model.write(folder.path() / "m.gguf");
  const auto info = check_model({folder.path() / "m.gguf", sound_pair().projector, "m"});
  ASSERT_FALSE(info);
  EXPECT_THAT(info.error().message, HasSubstr("qwen3vl_merger, which does not belong to a llama model"));
}

TEST(CheckModel, NamesTheFileThatIsCutInHalf) {
  const TempFolder folder;
  const std::string whole = read_bytes(sound_pair().projector);
  write_bytes(folder.path() / "half.gguf", whole.substr(0, whole.size() / 2));
  const auto info = check_model({sound_pair().model, folder.path() / "half.gguf", "m"});
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, Errc::corrupt);
  EXPECT_THAT(info.error().message, HasSubstr("half.gguf"));
  EXPECT_THAT(info.error().message, HasSubstr("missing"));
}

TEST(CheckModel, ReportsFilesThatAreNotThere) {
  EXPECT_EQ(check_model({"/nonexistent/m.gguf", {}, "m"}).error().code, Errc::not_found);
  EXPECT_EQ(check_model({sound_pair().model, "/nonexistent/p.gguf", "m"}).error().code, Errc::not_found);
}

}  // namespace
}  // namespace escribano::models
