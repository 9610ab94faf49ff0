#include "models/import.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "models/float_convert.h"
#include "models/gguf.h"
#include "models/import_cache.h"
#include "models/sha256.h"
#include "models/tiny_model.h"
#include "models/tiny_qwen25vl.h"
#include "support/mlx_folder.h"
#include "support/temp_folder.h"

namespace escribano::models {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path demo_folder = fs::path(ESCRIBANO_SOURCE_DIR) / "assets" / "demo-model";

GgufFile open(const fs::path& path) {
  auto file = GgufFile::open(path);
  if (!file) throw std::runtime_error(file.error().message);
  return *std::move(file);
}

// Elements of a tensor as numbers.
std::vector<float> values(const GgufFile& file, std::string_view name) {
  const GgufTensor* tensor = file.header().find_tensor(name);
  if (tensor == nullptr) throw std::runtime_error("no tensor " + std::string(name));
  const auto bytes = file.data(*tensor);
  std::vector<float> result;
  const bool wide = tensor->type == static_cast<std::uint32_t>(GgmlType::f32);
  for (std::size_t at = 0; at < bytes.size(); at += wide ? 4 : 2) {
    float value = 0;
    std::uint16_t bits = 0;
    std::memcpy(wide ? static_cast<void*>(&value) : &bits, bytes.data() + at, wide ? 4 : 2);
    if (tensor->type == static_cast<std::uint32_t>(GgmlType::f16)) value = float_from_half(bits);
    if (tensor->type == static_cast<std::uint32_t>(GgmlType::bf16)) value = float_from_bfloat(bits);
    result.push_back(value);
  }
  return result;
}

std::vector<float> values(const TinyModel::Tensor& tensor) {
  std::vector<float> result;
  for (std::size_t at = 0; at < tensor.data.size(); at += 2) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, tensor.data.data() + at, 2);
    result.push_back(float_from_bfloat(bits));
  }
  return result;
}

class Import : public testing::Test {
 protected:
  fs::path folder() const { return temp_.path() / "some-model"; }
  fs::path cache() const { return temp_.path() / "cache"; }

  Result<ModelFiles> import(const ImportOptions& options = {}, const ImportProgressCallback& progress = {}) {
    return import_folder(folder(), cache(), options, progress);
  }
  Result<ModelFiles> import_model(const TinyModel& model) {
    fs::remove_all(folder());
    model.write(folder());
    return import();
  }
  // Every file of the cache but locks and digests.
  std::vector<std::string> cached_files() const {
    std::vector<std::string> names;
    if (!fs::exists(cache())) return names;
    for (const auto& entry : fs::recursive_directory_iterator(cache())) {
      if (!entry.is_regular_file() || entry.path().extension() == ".lock") continue;
      if (entry.path().parent_path().filename() != "digests") names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  TempFolder temp_;
};

const std::vector<std::string> whole_pair = {"import.json", "mmproj.gguf", "model.gguf"};

TEST_F(Import, TurnsTheDemoModelIntoAPair) {
  const auto files = import_folder(demo_folder, cache(), {});
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(files->name, "demo-model");
  const auto info = check_model(*files);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->architecture, "qwen3vl");
  EXPECT_EQ(info->n_layer, 8u);
  EXPECT_EQ(info->n_embd, 256u);
  EXPECT_EQ(info->n_head, 4u);
  EXPECT_EQ(info->n_head_kv, 2u);
  EXPECT_EQ(info->head_size, 64u);
  EXPECT_EQ(info->n_ctx_train, 8192u);
  EXPECT_EQ(info->vocab_size, 3072u);
  EXPECT_EQ(info->deepstack_count, 2u);
  EXPECT_TRUE(info->has_vision);
  EXPECT_TRUE(info->has_chat_template);
  EXPECT_EQ(info->projector_type, "qwen3vl_merger");
  EXPECT_EQ(info->patch_size, 16u);
  EXPECT_EQ(info->merge_size, 2u);
  EXPECT_EQ(info->min_pixels, 65536u);
  EXPECT_EQ(info->max_pixels, 262144u);
  EXPECT_EQ(info->max_frames_per_prompt, 6u);
  EXPECT_EQ(info->file_bytes, fs::file_size(files->model) + fs::file_size(files->projector));

  const GgufFile model = open(files->model);
  EXPECT_EQ(model.header().tensors().size(), 90u);
  EXPECT_EQ(model.header().find_tensor("output.weight"), nullptr);  // the head is the embedding
  EXPECT_EQ(model.header().find("qwen3vl.rope.freq_base")->as_f32(), 500000.0f);
  EXPECT_EQ(model.header().find("qwen3vl.rope.dimension_sections")->as_i32s(),
            (std::vector<std::int32_t>{12, 10, 10, 0}));
  EXPECT_EQ(model.header().find("tokenizer.ggml.eos_token_id")->as_u32(), 3067u);
  EXPECT_EQ(model.header().find("tokenizer.ggml.merges")->as_strings()->front(), "i n");
  const GgufFile projector = open(files->projector);
  EXPECT_EQ(projector.header().tensors().size(), 94u);
  EXPECT_EQ(projector.header().find("clip.vision.is_deepstack_layers")->as_bools(),
            (std::vector<bool>{false, true, false, true, false, false}));
}

TEST_F(Import, TurnsAQwen25VlFolderIntoAPair) {
  const TinyModel model = tiny_qwen25vl();
  const auto files = import_model(model);
  ASSERT_TRUE(files) << files.error().message;
  const auto info = check_model(*files);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->architecture, "qwen2vl");
  EXPECT_EQ(info->projector_type, "qwen2.5vl_merger");
  EXPECT_TRUE(info->vision_windows);
  EXPECT_EQ(info->deepstack_count, 0u);
  EXPECT_EQ(info->patch_size, 14u);

  const GgufFile text = open(files->model);
  EXPECT_EQ(text.header().tensors().size(), 3u + 2 * 12);
  EXPECT_EQ(text.header().find("qwen2vl.rope.dimension_sections")->as_i32s(), (std::vector<std::int32_t>{2, 3, 3, 0}));
  EXPECT_EQ(
      values(text, "blk.1.attn_v.bias"),
      values(*std::ranges::find(model.tensors, "model.layers.1.self_attn.v_proj.bias", &TinyModel::Tensor::name)));
  EXPECT_NE(text.header().find_tensor("output.weight"), nullptr);
  const GgufFile vision = open(files->projector);
  EXPECT_EQ(vision.header().tensors().size(), 7u + 4 * 16);
  EXPECT_EQ(vision.header().find("clip.vision.n_wa_pattern")->as_u32(), 2u);
  EXPECT_EQ(vision.header().find("clip.use_silu")->as_bool(), true);
  // Queries, keys and values, one below the other.
  std::vector<float> joined;
  for (const char* part : {"v.blk.3.attn_q.weight", "v.blk.3.attn_k.weight", "v.blk.3.attn_v.weight"}) {
    const std::vector<float> rows = values(vision, part);
    joined.insert(joined.end(), rows.begin(), rows.end());
  }
  EXPECT_EQ(joined,
            values(*std::ranges::find(model.tensors, "visual.blocks.3.attn.qkv.weight", &TinyModel::Tensor::name)));
}

TEST_F(Import, MakesTheSamePairOfAQwen25VlFolderHoweverItIsSpelled) {
  const auto imported = [&](const fs::path& from) {
    const auto files = import_folder(from, cache(), {WeightType::f16, "m"});
    EXPECT_TRUE(files) << files.error().message;
    return files ? read_bytes(files->model) + read_bytes(files->projector) : std::string();
  };
  tiny_qwen25vl().write(folder());
  const std::string expected = imported(folder());
  TinyModel flat = tiny_qwen25vl();
  write_flat_config(flat);
  use_long_names(flat);
  flat.write(temp_.path() / "flat");
  EXPECT_TRUE(imported(temp_.path() / "flat") == expected);
  write_mlx_folder(temp_.path() / "flat", temp_.path() / "mlx", {});
  EXPECT_TRUE(imported(temp_.path() / "mlx") == expected);
}

TEST_F(Import, GivesEachPartOfAFusedMatrixTheTypeThatItNeeds) {
  TinyModel model = tiny_qwen25vl();
  const std::uint16_t million = bfloat_from_float(1e6f);
  std::string& fused = model.tensor("visual.blocks.0.attn.qkv.weight").data;
  std::memcpy(fused.data() + std::size_t{32} * 32 * 2, &million, 2);  // the first key
  const auto files = import_model(model);
  ASSERT_TRUE(files) << files.error().message;
  const GgufFile vision = open(files->projector);
  const auto type = [&](const char* name) { return static_cast<GgmlType>(vision.header().find_tensor(name)->type); };
  EXPECT_EQ(type("v.blk.0.attn_q.weight"), GgmlType::f16);
  EXPECT_EQ(type("v.blk.0.attn_k.weight"), GgmlType::bf16);
  EXPECT_EQ(type("v.blk.0.attn_v.weight"), GgmlType::f16);
  EXPECT_EQ(values(vision, "v.blk.0.attn_k.weight").front(), float_from_bfloat(million));
}

TEST_F(Import, SaysWhatIsWrongWithTheTensorsOfAQwen25VlFolder) {
  const auto error = [&](const std::function<void(TinyModel&)>& change) {
    TinyModel model = tiny_qwen25vl();
    change(model);
    const auto files = import_model(model);
    return files ? std::string("no error") : files.error().message;
  };
  const auto qkv = error([](TinyModel& model) { model.tensor("visual.blocks.0.attn.qkv.bias").shape = {48, 2}; });
  EXPECT_THAT(qkv, HasSubstr("visual.blocks.0.attn.qkv.bias is [48, 2] where [96] is needed"));
  EXPECT_EQ(qkv.find("qkv.bias"), qkv.rfind("qkv.bias")) << "once";
  EXPECT_THAT(error([](TinyModel& model) { model.remove("model.layers.0.self_attn.k_proj.bias"); }),
              HasSubstr("missing: model.language_model.layers.0.self_attn.k_proj.bias"));
  EXPECT_THAT(error([](TinyModel& model) { model.remove("lm_head.weight"); }), HasSubstr("missing: lm_head.weight"));
  EXPECT_THAT(error([](TinyModel& model) {
                TinyModel::Tensor more = model.tensor("visual.blocks.0.norm1.weight");
                more.name = "visual.blocks.0.norm1.bias";
                model.tensors.push_back(more);
              }),
              HasSubstr("not part of the architecture: visual.blocks.0.norm1.bias"));
  EXPECT_THAT(error([](TinyModel& model) {
                const std::uint16_t nan = 0x7FC0;
                std::string& data = model.tensor("visual.blocks.2.attn.qkv.weight").data;
                std::memcpy(data.data() + data.size() - 2, &nan, 2);
              }),
              HasSubstr("visual.blocks.2.attn.qkv.weight holds values that are not finite"));
}

// Both files to the last byte. Whoever changes them on purpose raises importer_version, or old imports live on in
// everybody's cache.
TEST_F(Import, MakesTheSamePairOfTheDemoModelAsEver) {
  const auto files = import_folder(demo_folder, cache(), {WeightType::f16, "demo"});
  ASSERT_TRUE(files) << files.error().message;
  const auto digest = [](const fs::path& path) {
    Sha256 hash;
    hash.update(read_bytes(path));
    return hash.hex_digest();
  };
  EXPECT_EQ(importer_version, 1);
  EXPECT_EQ(digest(files->model), "01b401333a92eb3e2452cc9d8b93380d8dc3952fb73a6616ddc17277fe2535c7");
  EXPECT_EQ(digest(files->projector), "00578356992c9004ffd107313b503c9603e3ec1a49f7f6cd4eae6b3fb2f85a81");
}

TEST_F(Import, KeepsTheValuesOfEveryKindOfTensor) {
  const TinyModel model;
  const auto files = import_model(model);
  ASSERT_TRUE(files) << files.error().message;
  TinyModel source;
  const auto original = [&](const char* name) { return values(source.tensor(name)); };
  const GgufFile text = open(files->model);
  EXPECT_EQ(values(text, "token_embd.weight"), original("model.language_model.embed_tokens.weight"));
  EXPECT_EQ(values(text, "blk.1.attn_k.weight"), original("model.language_model.layers.1.self_attn.k_proj.weight"));
  EXPECT_EQ(values(text, "blk.0.ffn_norm.weight"),
            original("model.language_model.layers.0.post_attention_layernorm.weight"));
  const GgufFile vision = open(files->projector);
  EXPECT_EQ(values(vision, "v.position_embd.weight"), original("model.visual.pos_embed.weight"));
  EXPECT_EQ(values(vision, "mm.2.weight"), original("model.visual.merger.linear_fc2.weight"));
  EXPECT_EQ(values(vision, "v.deepstack.1.fc1.bias"), original("model.visual.deepstack_merger_list.0.linear_fc1.bias"));
  EXPECT_EQ(values(vision, "v.blk.1.attn_qkv.weight"), original("model.visual.blocks.1.attn.qkv.weight"));
}

TEST_F(Import, StoresMatricesInHalfAndTheRestInSinglePrecision) {
  const auto files = import_model(TinyModel());
  ASSERT_TRUE(files) << files.error().message;
  for (const fs::path& path : {files->model, files->projector}) {
    const GgufFile file = open(path);
    for (const GgufTensor& tensor : file.header().tensors()) {
      const bool single = tensor.dims.size() != 2 || tensor.name == "v.position_embd.weight";
      EXPECT_EQ(tensor.type, static_cast<std::uint32_t>(single ? GgmlType::f32 : GgmlType::f16)) << tensor.name;
    }
  }
}

TEST_F(Import, SplitsThePatchKernelIntoItsTwoTimeSlices) {
  const auto files = import_model(TinyModel());
  ASSERT_TRUE(files) << files.error().message;
  TinyModel source;
  const auto kernel = values(source.tensor("model.visual.patch_embed.proj.weight"));  // [8][3][2][2][2]
  const GgufFile vision = open(files->projector);
  EXPECT_EQ(vision.header().find_tensor("v.patch_embd.weight")->dims, (std::vector<std::uint64_t>{2, 2, 3, 8}));
  const auto first = values(vision, "v.patch_embd.weight");
  const auto second = values(vision, "v.patch_embd.weight.1");
  for (std::size_t filter_channel = 0; filter_channel < 24; ++filter_channel) {
    for (std::size_t pixel = 0; pixel < 4; ++pixel) {
      EXPECT_EQ(first[filter_channel * 4 + pixel], kernel[filter_channel * 8 + pixel]);
      EXPECT_EQ(second[filter_channel * 4 + pixel], kernel[filter_channel * 8 + 4 + pixel]);
    }
  }
}

// MLX-VLM keeps channels last and has other prefixes; the result must be the same, byte for byte.
TinyModel as_mlx() {
  TinyModel model;
  TinyModel::Tensor& kernel = model.tensor("model.visual.patch_embed.proj.weight");
  std::string moved(kernel.data.size(), '\0');
  for (std::size_t filter = 0; filter < 8; ++filter) {
    for (std::size_t channel = 0; channel < 3; ++channel) {
      for (std::size_t rest = 0; rest < 8; ++rest) {
        std::memcpy(moved.data() + ((filter * 8 + rest) * 3 + channel) * 2,
                    kernel.data.data() + ((filter * 3 + channel) * 8 + rest) * 2, 2);
      }
    }
  }
  kernel.data = moved;
  kernel.shape = {8, 2, 2, 2, 3};
  model.rename([](const std::string& name) {
    if (name.starts_with("model.visual.")) return "vision_tower." + name.substr(13);
    return "language_model.model." + name.substr(21);
  });
  return model;
}

TEST_F(Import, UnderstandsTheLayoutsOfMlxAndOfOlderTransformers) {
  const auto modern = import_model(TinyModel());
  ASSERT_TRUE(modern) << modern.error().message;
  const auto mlx = import_model(as_mlx());
  ASSERT_TRUE(mlx) << mlx.error().message;
  TinyModel older;
  older.rename([](const std::string& name) {
    if (name.starts_with("model.visual.")) return name.substr(6);
    return "model." + name.substr(21);
  });
  const auto old = import_model(older);
  ASSERT_TRUE(old) << old.error().message;
  EXPECT_NE(modern->model, mlx->model);
  for (const auto& other : {mlx, old}) {
    EXPECT_EQ(read_bytes(modern->model), read_bytes(other->model));
    EXPECT_EQ(read_bytes(modern->projector), read_bytes(other->projector));
  }
}

TEST_F(Import, ReadsSinglePrecisionShards) {
  TinyModel model;
  const auto narrow = import_model(model);
  ASSERT_TRUE(narrow) << narrow.error().message;
  const std::string expected = read_bytes(narrow->model);
  model.widen();
  fs::remove_all(folder());
  model.write(folder(), 3);
  const auto wide = import();
  ASSERT_TRUE(wide) << wide.error().message;
  EXPECT_EQ(read_bytes(wide->model), expected);
}

TEST_F(Import, WritesTheHeadOfAModelThatDoesNotShareIt) {
  TinyModel model;
  model.config["tie_word_embeddings"] = false;
  const auto without = import_model(model);
  ASSERT_FALSE(without);
  EXPECT_THAT(without.error().message, HasSubstr("lm_head.weight"));

  model.tensors.push_back(model.tensor("model.language_model.embed_tokens.weight"));
  model.tensors.back().name = "lm_head.weight";
  const auto files = import_model(model);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_NE(open(files->model).header().find_tensor("output.weight"), nullptr);
}

TEST_F(Import, IgnoresACopyOfASharedHead) {
  TinyModel model;
  model.tensors.push_back(model.tensor("model.language_model.embed_tokens.weight"));
  model.tensors.back().name = "lm_head.weight";
  const auto files = import_model(model);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(open(files->model).header().find_tensor("output.weight"), nullptr);
}

void poke(TinyModel::Tensor& tensor, std::uint16_t bits) { std::memcpy(tensor.data.data() + 4, &bits, 2); }

TEST_F(Import, KeepsAMatrixWhoseValuesHalfPrecisionCannotHold) {
  TinyModel model;
  poke(model.tensor("model.language_model.layers.0.mlp.up_proj.weight"), 0x4780);  // 65536
  const auto files = import_model(model);
  ASSERT_TRUE(files) << files.error().message;
  const GgufFile file = open(files->model);
  EXPECT_EQ(file.header().find_tensor("blk.0.ffn_up.weight")->type, static_cast<std::uint32_t>(GgmlType::bf16));
  EXPECT_EQ(file.header().find_tensor("blk.1.ffn_up.weight")->type, static_cast<std::uint32_t>(GgmlType::f16));
  EXPECT_EQ(values(file, "blk.0.ffn_up.weight")[2], 65536.0f);
}

TEST_F(Import, RefusesWhatIsNoFiniteNumber) {
  for (const char* name : {"model.language_model.layers.0.mlp.up_proj.weight", "model.visual.merger.norm.bias"}) {
    TinyModel model;
    for (const auto bits : {std::uint16_t{0x7FC0}, std::uint16_t{0xFF80}}) {  // NaN, negative infinity
      poke(model.tensor(name), bits);
      const auto files = import_model(model);
      ASSERT_FALSE(files);
      EXPECT_EQ(files.error().code, Errc::corrupt);
      EXPECT_THAT(files.error().message, HasSubstr(name));
      EXPECT_TRUE(cached_files().empty());
    }
  }
}

TEST_F(Import, OffersOtherElementTypes) {
  TinyModel().write(folder());
  const auto half = import();
  const auto bf16 = import({WeightType::bf16, {}});
  const auto f32 = import({WeightType::f32, {}});
  ASSERT_TRUE(half && bf16 && f32);
  EXPECT_NE(half->model, bf16->model);
  EXPECT_EQ(open(bf16->model).header().find_tensor("token_embd.weight")->type,
            static_cast<std::uint32_t>(GgmlType::bf16));
  EXPECT_EQ(values(open(f32->model), "token_embd.weight"), values(open(half->model), "token_embd.weight"));
}

TEST_F(Import, LargeFoldersInBf16StayInBf16) {
  TinyModel().write(folder());
  const auto small = import();
  const auto large = import({.weights = {}, .name = {}, .small_bytes = 0});
  const auto bf16 = import({WeightType::bf16, {}});
  ASSERT_TRUE(small && large && bf16);
  EXPECT_NE(large->model, small->model);
  EXPECT_EQ(large->model, bf16->model);
}

TEST_F(Import, PadsTheVocabularyAndTypesItsTokens) {
  const auto files = import_model(TinyModel());
  ASSERT_TRUE(files) << files.error().message;
  const GgufFile file = open(files->model);
  EXPECT_EQ(file.header().find("tokenizer.ggml.tokens")->as_strings(),
            (std::vector<std::string_view>{"a", "b", "c", "ab", "abc", "[PAD5]", "[PAD6]", "[PAD7]", "<|endoftext|>",
                                           "<|im_start|>", "<|im_end|>", "<|box|>", "<tool>", "[PAD13]", "[PAD14]",
                                           "[PAD15]"}));
  EXPECT_EQ(file.header().find("tokenizer.ggml.token_type")->as_i32s(),
            (std::vector<std::int32_t>{1, 1, 1, 1, 1, 5, 5, 5, 3, 3, 3, 3, 4, 5, 5, 5}));
  EXPECT_EQ(file.header().find("tokenizer.ggml.merges")->as_strings(), (std::vector<std::string_view>{"a b", "ab c"}));
  EXPECT_EQ(file.header().find("tokenizer.ggml.padding_token_id")->as_u32(), 8u);
  EXPECT_EQ(file.header().find("tokenizer.ggml.bos_token_id"), nullptr);
  EXPECT_EQ(file.header().find("tokenizer.chat_template")->as_string(), "{{ messages }}");
}

TEST_F(Import, UsesAnEarlierImportWithoutTouchingIt) {
  TinyModel().write(folder());
  const auto first = import();
  ASSERT_TRUE(first) << first.error().message;
  const auto before = fs::last_write_time(first->model);
  bool wrote = false;
  const auto second = import({}, [&](const ImportProgress& progress) {
    wrote = wrote || progress.stage == ImportProgress::Stage::writing;
    return true;
  });
  ASSERT_TRUE(second);
  EXPECT_EQ(*first, *second);
  EXPECT_FALSE(wrote);
  EXPECT_EQ(fs::last_write_time(first->model), before);
}

TEST_F(Import, RecognisesContentsNotPaths) {
  TinyModel().write(folder());
  const auto here = import({WeightType::f16, "a name"});
  fs::rename(folder(), temp_.path() / "moved");
  const auto there = import_folder(temp_.path() / "moved/", cache(), {});
  ASSERT_TRUE(here && there);
  EXPECT_EQ(here->model, there->model);
  EXPECT_EQ(here->name, "a name");
  EXPECT_EQ(there->name, "moved");
}

TEST_F(Import, MakesANewPairWhenAnyPartOfTheFolderChanges) {
  const auto original = import_model(TinyModel());
  ASSERT_TRUE(original);
  TinyModel weights;
  poke(weights.tensor("model.visual.merger.norm.bias"), 0x3F80);
  const auto other_weights = import_model(weights);
  TinyModel chat;
  chat.tokenizer_config["chat_template"] = "other";
  const auto other_template = import_model(chat);
  write_bytes(folder() / "escribano.json", R"({"max_frames_per_prompt": 3})");
  const auto other_settings = import();
  ASSERT_TRUE(other_weights && other_template && other_settings);
  EXPECT_NE(original->model, other_weights->model);
  EXPECT_NE(original->model, other_template->model);
  EXPECT_NE(other_template->model, other_settings->model);
  EXPECT_EQ(check_model(*other_settings)->max_frames_per_prompt, 3u);
}

TEST_F(Import, TwoAtOnceMakeOnePair) {
  TinyModel().write(folder());
  std::barrier start(2);
  std::atomic<int> writers = 0;
  std::array<std::optional<Result<ModelFiles>>, 2> results;
  std::array<std::thread, 2> threads;
  for (std::size_t i = 0; i < 2; ++i) {
    threads[i] = std::thread([&, i] {
      bool wrote = false;
      start.arrive_and_wait();
      results[i] = import({}, [&](const ImportProgress& progress) {
        wrote = wrote || progress.stage == ImportProgress::Stage::writing;
        return true;
      });
      if (wrote) ++writers;
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(*results[0]) << results[0]->error().message;
  ASSERT_TRUE(*results[1]) << results[1]->error().message;
  EXPECT_EQ(**results[0], **results[1]);
  EXPECT_EQ(writers, 1);
  EXPECT_EQ(cached_files(), whole_pair);
}

TEST_F(Import, WaitsForAnotherProcessAndCanStopWaiting) {
  TinyModel().write(folder());
  const auto first = import();
  ASSERT_TRUE(first);
  const fs::path pair = first->model.parent_path();
  fs::remove_all(pair);
  FileDescriptor other(::open((pair.string() + ".lock").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::flock(other.get(), LOCK_EX), 0);

  const auto stopped =
      import({}, [](const ImportProgress& progress) { return progress.stage != ImportProgress::Stage::waiting; });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Errc::cancelled);

  const auto patient = import({}, [&](const ImportProgress& progress) {
    if (progress.stage == ImportProgress::Stage::waiting) other.reset();  // the other one is done
    return true;
  });
  ASSERT_TRUE(patient) << patient.error().message;
  EXPECT_EQ(cached_files(), whole_pair);
}

TEST_F(Import, CanBeStoppedAtEveryStageAndStartedAgain) {
  TinyModel().write(folder());
  for (const auto stage :
       {ImportProgress::Stage::reading, ImportProgress::Stage::checking, ImportProgress::Stage::writing}) {
    const auto stopped = import({}, [&](const ImportProgress& progress) { return progress.stage != stage; });
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, Errc::cancelled);
    EXPECT_TRUE(cached_files().empty());
  }
  EXPECT_TRUE(import());
}

// Stands for llama.cpp's: what matters here is what becomes of its result.
ImportOptions quantised(std::vector<std::string>& calls) {
  ImportOptions options;
  options.quantize = Quantization::q8_0;
  options.quantizer = [&calls](const fs::path& model, const fs::path& destination, std::string_view type) -> Status {
    calls.emplace_back(type);
    fs::copy_file(model, destination);
    return {};
  };
  return options;
}

TEST_F(Import, AQuantisedPairHasAPlaceOfItsOwnAndIsMadeOnce) {
  TinyModel().write(folder());
  const auto plain = import();
  std::vector<std::string> calls;
  ImportOptions options = quantised(calls);
  const auto first = import(options);
  const auto second = import(options);
  ASSERT_TRUE(plain && first && second) << first.error().message;
  EXPECT_NE(first->model, plain->model);
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(calls, std::vector<std::string>{"q8_0"});
  EXPECT_EQ(read_bytes(first->projector), read_bytes(plain->projector));
  fs::remove_all(plain->model.parent_path());
  EXPECT_EQ(cached_files(), whole_pair) << "the file before quantisation is gone";
  options.quantize = Quantization::q4_k_m;
  const auto other = import(options);
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_NE(other->model, first->model);
}

TEST_F(Import, LeavesNothingOfAQuantisationThatFails) {
  TinyModel().write(folder());
  std::vector<std::string> calls;
  ImportOptions options = quantised(calls);
  const auto stopped = import(
      options, [](const ImportProgress& progress) { return progress.stage != ImportProgress::Stage::quantising; });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Errc::cancelled);
  EXPECT_TRUE(cached_files().empty());

  options.quantizer = [](const fs::path&, const fs::path& destination, std::string_view) -> Status {
    write_bytes(destination, "half a fi");
    return fail(Errc::io_error, "the disk is full");
  };
  const auto failed = import(options);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "the disk is full");
  EXPECT_TRUE(cached_files().empty());

  options.quantizer = [](const fs::path&, const fs::path& destination, std::string_view) -> Status {
    write_bytes(destination, "no model");
    return {};
  };
  EXPECT_FALSE(import(options)) << "what comes out is checked like any other model";
  EXPECT_TRUE(cached_files().empty());

  options.quantizer = nullptr;
  EXPECT_EQ(import(options).error().code, Errc::invalid_argument);
}

TEST_F(Import, APairIsKeptOnlyIfItStandsTheTestOfTheCaller) {
  TinyModel().write(folder());
  int looks = 0;
  ImportOptions options;
  options.verify = [&](const ModelFiles& files) -> Status {
    ++looks;
    EXPECT_TRUE(check_model(files));
    EXPECT_EQ(cached_files(), (std::vector<std::string>{"mmproj.gguf", "model.gguf"}));
    return fail(Errc::inference_failed, "it says nothing sensible");
  };
  const auto refused = import(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::inference_failed);
  EXPECT_THAT(refused.error().message, HasSubstr("nothing sensible"));
  EXPECT_TRUE(cached_files().empty());

  options.verify = [&](const ModelFiles&) -> Status {
    ++looks;
    return {};
  };
  EXPECT_TRUE(import(options));
  EXPECT_TRUE(import(options));
  EXPECT_EQ(looks, 2) << "an earlier import was looked at when it was made";
}

TEST_F(Import, ReportsProgressThatEndsAtTheTotal) {
  TinyModel().write(folder());
  std::array<ImportProgress, 6> last;
  ASSERT_TRUE(import({}, [&](const ImportProgress& progress) {
    auto& before = last[static_cast<std::size_t>(progress.stage)];
    EXPECT_GE(progress.done_bytes, before.done_bytes);
    EXPECT_LE(progress.done_bytes, progress.total_bytes);
    before = progress;
    return true;
  }));
  const ImportProgress& reading = last[static_cast<std::size_t>(ImportProgress::Stage::reading)];
  EXPECT_EQ(reading.done_bytes, fs::file_size(folder() / "model.safetensors"));
  EXPECT_EQ(reading.done_bytes, reading.total_bytes);
  const ImportProgress& writing = last[static_cast<std::size_t>(ImportProgress::Stage::writing)];
  EXPECT_EQ(writing.done_bytes, writing.total_bytes);
}

TEST_F(Import, StartsOverWhatAKilledProcessLeftBehind) {
  TinyModel().write(folder());
  const auto first = import();
  ASSERT_TRUE(first);
  const std::string whole = read_bytes(first->model);
  fs::remove(first->model.parent_path() / "import.json");
  write_bytes(first->model, "half a fi");
  write_bytes(first->model.string() + ".Ab12Cd", "half a temporary fi");
  const auto second = import();
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(read_bytes(second->model), whole);
  EXPECT_EQ(cached_files(), whole_pair);
}

TEST_F(Import, DoesNotTrustAPairThatWasDamagedLater) {
  TinyModel().write(folder());
  const auto first = import();
  ASSERT_TRUE(first);
  const std::string whole = read_bytes(first->projector);
  fs::resize_file(first->projector, 100);
  const auto second = import();
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(read_bytes(second->projector), whole);
}

TEST_F(Import, NamesACacheThatCannotBeWritten) {
  TinyModel().write(folder());
  fs::path refused = temp_.path() / "read-only";
  fs::create_directory(refused);
  fs::permissions(refused, fs::perms::owner_read | fs::perms::owner_exec);
  if (::geteuid() == 0) refused = "/sys/escribano";  // root may write anywhere but there
  const auto result = import_folder(folder(), refused, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::not_permitted) << result.error().message;
  EXPECT_THAT(result.error().message, HasSubstr(refused.string()));

  write_bytes(temp_.path() / "file", "");
  const auto under_a_file = import_folder(folder(), temp_.path() / "file" / "cache", {});
  ASSERT_FALSE(under_a_file);
  EXPECT_EQ(under_a_file.error().code, Errc::io_error);
}

// A limit on the size of files fails writes midway as a full disk does.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_ = {};
  void (*handler_)(int) = nullptr;
};

TEST_F(Import, LeavesNoHalfFileWhenWritingFails) {
  TinyModel().write(folder());
  {
    const FileSizeLimit limit(3000);
    const auto failed = import();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Errc::io_error) << failed.error().message;
    EXPECT_TRUE(cached_files().empty());
  }
  EXPECT_TRUE(import());
}

TEST_F(Import, ReportsMissingAndUnexpectedTensorsByName) {
  TinyModel missing;
  missing.remove("model.visual.merger.norm.bias");
  missing.remove("model.language_model.norm.weight");
  const auto incomplete = import_model(missing);
  ASSERT_FALSE(incomplete);
  EXPECT_EQ(incomplete.error().code, Errc::corrupt);
  EXPECT_THAT(incomplete.error().message, HasSubstr("model.language_model.norm.weight, model.visual.merger.norm.bias"));

  TinyModel extra;
  extra.tensors.push_back({"model.language_model.layers.2.input_layernorm.weight", {1}, "BF16", "12"});
  extra.tensors.push_back({"something.else", {1}, "BF16", "12"});
  const auto more = import_model(extra);
  ASSERT_FALSE(more);
  EXPECT_THAT(more.error().message, HasSubstr("something.else"));
  EXPECT_THAT(more.error().message, HasSubstr("layers.2.input_layernorm.weight"));

  TinyModel twice;
  twice.tensors.push_back(twice.tensor("model.language_model.norm.weight"));
  twice.tensors.back().name = "model.norm.weight";
  EXPECT_THAT(import_model(twice).error().message, HasSubstr("same part of the model"));
}

TEST_F(Import, ReportsWrongShapesAndTypesByName) {
  TinyModel shape;
  shape.tensor("model.visual.blocks.0.attn.qkv.weight").shape = {8, 24};
  const auto misshapen = import_model(shape);
  ASSERT_FALSE(misshapen);
  EXPECT_EQ(misshapen.error().code, Errc::corrupt);
  EXPECT_THAT(misshapen.error().message, HasSubstr("model.visual.blocks.0.attn.qkv.weight is [8, 24] where [24, 8]"));

  TinyModel type;
  type.tensor("model.language_model.norm.weight").dtype = "I16";
  const auto wrong_type = import_model(type);
  ASSERT_FALSE(wrong_type);
  EXPECT_EQ(wrong_type.error().code, Errc::unsupported);
  EXPECT_THAT(wrong_type.error().message, HasSubstr("model.language_model.norm.weight (I16)"));
}

TEST_F(Import, NamesTheFileThatAFolderLacks) {
  for (const char* name : {"config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors"}) {
    fs::remove_all(folder());
    TinyModel().write(folder());
    fs::remove(folder() / name);
    const auto result = import();
    ASSERT_FALSE(result) << name;
    EXPECT_EQ(result.error().code, Errc::not_found) << result.error().message;
    EXPECT_THAT(result.error().message, HasSubstr(name));
  }
  fs::remove_all(folder());
  EXPECT_EQ(import().error().code, Errc::not_found);
}

}  // namespace
}  // namespace escribano::models
