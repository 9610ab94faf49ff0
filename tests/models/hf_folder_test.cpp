// Configuration and tokenizer of a Hugging Face folder.
#include <array>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/hf_config.h"
#include "models/hf_tokenizer.h"
#include "models/json_checks.h"
#include "models/tiny_model.h"
#include "models/tiny_qwen25vl.h"
#include "support/temp_folder.h"

namespace escribano::models {
namespace {

using nlohmann::json;
using testing::HasSubstr;

struct BadFolder {
  const char* title;
  std::function<void(TinyModel&)> change;
  Errc code;
  const char* message;

  friend void PrintTo(const BadFolder& folder, std::ostream* out) { *out << folder.title; }
};

Error config_error(const TinyModel& model) {
  const TempFolder folder;
  model.write(folder.path());
  const auto config = read_hf_config(folder.path());
  return config ? Error{Errc::internal, "no error"} : config.error();
}

class HfConfigRefuses : public testing::TestWithParam<BadFolder> {};

TEST_P(HfConfigRefuses, TheFolder) {
  TinyModel model;
  GetParam().change(model);
  const Error error = config_error(model);
  EXPECT_EQ(error.code, GetParam().code) << error.message;
  EXPECT_THAT(error.message, HasSubstr(GetParam().message));
}

std::function<void(TinyModel&)> text(const char* key, json value) {
  return [key, value](TinyModel& model) { model.config["text_config"][key] = value; };
}
std::function<void(TinyModel&)> vision(const char* key, json value) {
  return [key, value](TinyModel& model) { model.config["vision_config"][key] = value; };
}

INSTANTIATE_TEST_SUITE_P(
    Bad, HfConfigRefuses,
    testing::Values(
        BadFolder{"TextModel",
                  [](TinyModel& model) {
                    model.config["model_type"] = "qwen3";
                    model.config.erase("vision_config");
                  },
                  Errc::no_vision, "no vision tower"},
        BadFolder{"OtherFamily", [](TinyModel& model) { model.config["model_type"] = "llava"; }, Errc::unsupported,
                  "llava"},
        BadFolder{"QuantisedByMlx",
                  [](TinyModel& model) {
                    model.config["quantization"] = {{"bits", 4}};
                  },
                  Errc::corrupt, "group_size is missing"},
        BadFolder{"NoLayers", text("num_hidden_layers", 0), Errc::corrupt, "num_hidden_layers"},
        BadFolder{"AMillionLayers", text("num_hidden_layers", 1'000'000), Errc::corrupt, "num_hidden_layers"},
        BadFolder{"NegativeWidth", text("hidden_size", -8), Errc::corrupt, "hidden_size"},
        BadFolder{"WidthOfAnotherType", text("hidden_size", "8"), Errc::corrupt, "hidden_size"},
        BadFolder{"EndlessVocabulary", text("vocab_size", 1ull << 40), Errc::corrupt, "vocab_size"},
        BadFolder{"HeadsThatDoNotShare", text("num_key_value_heads", 3), Errc::corrupt, "key-value heads"},
        BadFolder{"OddHead", text("head_dim", 5), Errc::corrupt, "head size"},
        BadFolder{"NoContext", text("max_position_embeddings", nullptr), Errc::corrupt, "max_position_embeddings"},
        BadFolder{"EpsilonNotANumber", text("rms_norm_eps", "tiny"), Errc::corrupt, "rms_norm_eps"},
        BadFolder{"OtherActivation", text("hidden_act", "relu"), Errc::unsupported, "relu"},
        BadFolder{"AttentionBias", text("attention_bias", true), Errc::unsupported, "attention_bias"},
        BadFolder{"NoRopeTheta", text("rope_theta", nullptr), Errc::corrupt, "rope_theta"},
        BadFolder{"ScaledRope", text("rope_scaling", {{"rope_type", "yarn"}, {"mrope_section", {1, 1, 0}}}),
                  Errc::unsupported, "yarn"},
        BadFolder{"SectionsOfAnotherHead", text("rope_scaling", {{"mrope_section", {24, 20, 20}}}), Errc::corrupt,
                  "mrope_section"},
        BadFolder{"SectionsNotInterleaved",
                  text("rope_scaling", {{"mrope_section", {1, 1, 0}}, {"mrope_interleaved", false}}), Errc::unsupported,
                  "interleaved"},
        BadFolder{"EndTokenOutsideTheVocabulary", text("eos_token_id", 16), Errc::corrupt, "eos_token_id"},
        BadFolder{"OtherMerge", vision("spatial_merge_size", 3), Errc::unsupported, "spatial_merge_size"},
        BadFolder{"OtherTime", vision("temporal_patch_size", 1), Errc::unsupported, "temporal_patch_size"},
        BadFolder{"OtherOutput", vision("out_hidden_size", 9), Errc::corrupt, "out_hidden_size"},
        BadFolder{"VisionHeads", vision("num_heads", 4), Errc::corrupt, "heads of a multiple of 4"},
        BadFolder{"PositionsNotSquare", vision("num_position_embeddings", 15), Errc::corrupt, "square"},
        BadFolder{"DeepstackOutside", vision("deepstack_visual_indexes", {2}), Errc::corrupt,
                  "deepstack_visual_indexes"},
        BadFolder{"DeepstackTwice", vision("deepstack_visual_indexes", {1, 1}), Errc::corrupt,
                  "deepstack_visual_indexes"},
        BadFolder{"StdOfZero",
                  [](TinyModel& model) {
                    model.preprocessor["image_std"] = {0, 0.5, 0.5};
                  },
                  Errc::corrupt, "image_std"},
        BadFolder{"TwoMeans",
                  [](TinyModel& model) {
                    model.preprocessor["image_mean"] = {0.5, 0.5};
                  },
                  Errc::corrupt, "image_mean"},
        BadFolder{"ContradictingPatch", [](TinyModel& model) { model.preprocessor["patch_size"] = 16; }, Errc::corrupt,
                  "patch_size"},
        BadFolder{"LimitsTheWrongWayRound", [](TinyModel& model) { model.preprocessor["min_pixels"] = 2048; },
                  Errc::corrupt, "pixels"},
        BadFolder{"StopTokenOutside", [](TinyModel& model) { model.generation["eos_token_id"] = {16}; }, Errc::corrupt,
                  "eos_token_id"}),
    [](const auto& case_info) { return case_info.param.title; });

class Qwen25VlConfigRefuses : public testing::TestWithParam<BadFolder> {};

TEST_P(Qwen25VlConfigRefuses, TheFolder) {
  TinyModel model = tiny_qwen25vl();
  GetParam().change(model);
  const Error error = config_error(model);
  EXPECT_EQ(error.code, GetParam().code) << error.message;
  EXPECT_THAT(error.message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Bad, Qwen25VlConfigRefuses,
    testing::Values(
        BadFolder{"Qwen2Vl", [](TinyModel& model) { model.config["model_type"] = "qwen2_vl"; }, Errc::unsupported,
                  "qwen2_vl"},
        BadFolder{"Omni", [](TinyModel& model) { model.config["model_type"] = "qwen2_5_omni"; }, Errc::unsupported,
                  "qwen2_5_omni"},
        BadFolder{"NoVision", [](TinyModel& model) { model.config.erase("vision_config"); }, Errc::corrupt,
                  "vision_config"},
        BadFolder{"FlatAndNoHeads",
                  [](TinyModel& model) {
                    write_flat_config(model);
                    model.config.erase("num_attention_heads");
                  },
                  Errc::corrupt, "config.json: num_attention_heads"},
        BadFolder{"NarrowHeads", text("head_dim", 8), Errc::unsupported, "do not make up hidden_size 64"},
        BadFolder{"SlidingWindow", text("use_sliding_window", true), Errc::unsupported, "use_sliding_window"},
        BadFolder{"SlidingLayers", text("layer_types", {"full_attention", "sliding_attention"}), Errc::unsupported,
                  "layer_types"},
        BadFolder{
            "Interleaved",
            text("rope_parameters", {{"rope_theta", 1e4}, {"mrope_section", {2, 3, 3}}, {"mrope_interleaved", true}}),
            Errc::unsupported, "sections that are interleaved"},
        BadFolder{"NoSections", text("rope_parameters", {{"rope_theta", 1e4}}), Errc::corrupt, "mrope_section"},
        BadFolder{"OtherOutput", vision("out_hidden_size", 32), Errc::corrupt, "out_hidden_size"},
        BadFolder{"OtherWindow", vision("window_size", 224), Errc::unsupported, "window_size must be 112"},
        BadFolder{"NoWindow", vision("window_size", nullptr), Errc::corrupt, "window_size"},
        BadFolder{"PatchBeyondAWindow",
                  [](TinyModel& model) {
                    model.config["vision_config"]["patch_size"] = 57;
                    model.preprocessor["patch_size"] = 57;
                  },
                  Errc::unsupported, "patch_size 57"},
        BadFolder{"SquareFeedForward", vision("intermediate_size", 32), Errc::unsupported, "intermediate_size 32"},
        BadFolder{"Irregular", vision("fullatt_block_indexes", {0, 3}), Errc::unsupported, "every n-th"},
        BadFolder{"NotToTheEnd", vision("fullatt_block_indexes", {1}), Errc::unsupported, "every n-th"},
        BadFolder{"WholeLayersOutside", vision("fullatt_block_indexes", {1, 4}), Errc::corrupt,
                  "fullatt_block_indexes"},
        BadFolder{"OtherActivation", vision("hidden_act", "gelu"), Errc::unsupported, "gelu"},
        BadFolder{"FourChannels", vision("in_chans", 4), Errc::unsupported, "in_chans"}),
    [](const auto& case_info) { return case_info.param.title; });

TEST(Qwen25VlConfig, IsTheSameInBothSpellings) {
  for (const bool flat : {false, true}) {
    const TempFolder folder;
    TinyModel model = tiny_qwen25vl();
    if (flat) write_flat_config(model);
    model.write(folder.path());
    const auto config = read_hf_config(folder.path());
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->family, ModelFamily::qwen2_5_vl);
    EXPECT_EQ(config->text.hidden, 64u);
    EXPECT_EQ(config->text.kv_heads, 2u);
    EXPECT_EQ(config->text.head_size, 16u);
    EXPECT_EQ(config->text.rope_theta, 10000.0f);
    EXPECT_EQ(config->text.rope_sections, (std::array<std::int32_t, 3>{2, 3, 3}));
    EXPECT_FALSE(config->text.tied_head);
    EXPECT_EQ(config->vision.layers, 4u);
    EXPECT_EQ(config->vision.window_pattern, 2u);
    EXPECT_EQ(config->image.min_pixels, 3136u);
    EXPECT_EQ(config->image.max_pixels, 12845056u);
  }
}

TEST(Qwen25VlConfig, KnowsTowersWithoutWindowsAndWithNothingElse) {
  const auto pattern = [](json whole_layers) {
    const TempFolder folder;
    TinyModel model = tiny_qwen25vl();
    model.config["vision_config"]["fullatt_block_indexes"] = std::move(whole_layers);
    model.write(folder.path());
    return read_hf_config(folder.path()).value().vision.window_pattern;
  };
  EXPECT_EQ(pattern({0, 1, 2, 3}), 0u);
  EXPECT_EQ(pattern(json::array()), 5u);
}

TEST(HfConfig, ReadsBothSpellingsOfThePixelLimits) {
  const TempFolder folder;
  TinyModel model;
  model.write(folder.path());
  auto config = read_hf_config(folder.path());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->image.min_pixels, 64u);
  EXPECT_EQ(config->image.max_pixels, 1024u);
  model.preprocessor["min_pixels"] = 128;
  model.preprocessor["max_pixels"] = 512;
  model.write(folder.path());
  config = read_hf_config(folder.path());
  ASSERT_TRUE(config);
  EXPECT_EQ(config->image.min_pixels, 128u);
  EXPECT_EQ(config->image.max_pixels, 512u);
}

TEST(HfConfig, ReadsTheImageRuleOfNewerFoldersFromTheProcessor) {
  const TempFolder folder;
  TinyModel model;
  const json processor = {{"image_processor", model.preprocessor}};
  model.preprocessor = nullptr;
  model.write(folder.path());
  write_bytes(folder.path() / "processor_config.json", processor.dump());
  const auto config = read_hf_config(folder.path());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->image.max_pixels, 1024u);
}

TEST(HfConfig, ReadsRopeFromItsNewerPlace) {
  const TempFolder folder;
  TinyModel model;
  model.config["text_config"].erase("rope_theta");
  model.config["text_config"].erase("rope_scaling");
  model.config["text_config"]["rope_parameters"] = {
      {"rope_type", "default"}, {"rope_theta", 5000000}, {"mrope_section", {1, 0, 1}}};
  model.write(folder.path());
  const auto config = read_hf_config(folder.path());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->text.rope_theta, 5e6f);
  EXPECT_EQ(config->text.rope_sections, (std::array<std::int32_t, 3>{1, 0, 1}));
}

TEST(HfConfig, DerivesTheHeadSizeWhereItIsNotGiven) {
  const TempFolder folder;
  TinyModel model;
  model.config["text_config"].erase("head_dim");
  model.write(folder.path());
  const auto config = read_hf_config(folder.path());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->text.head_size, 4u);
}

// MLX-VLM copies the list of generation_config.json into config.json.
TEST(HfConfig, TakesTheFirstOfSeveralEndTokens) {
  const TempFolder folder;
  TinyModel model;
  model.config["eos_token_id"] = {8, 10};
  model.write(folder.path());
  const auto config = read_hf_config(folder.path());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->text.eos_token, 8u);
  model.config["eos_token_id"] = {8, 16};
  EXPECT_THAT(config_error(model).message, HasSubstr("eos_token_id"));
}

// Where the head is said to be shared: by the part that has it, else by the whole.
TEST(HfConfig, FindsOutAboutTheHeadInBothPlaces) {
  const TempFolder folder;
  const auto tied = [&](const json& in_text, const json& on_top) {
    TinyModel model;
    model.config["text_config"]["tie_word_embeddings"] = in_text;
    model.config["tie_word_embeddings"] = on_top;
    model.write(folder.path());
    return read_hf_config(folder.path()).value().text.tied_head;
  };
  EXPECT_TRUE(tied(nullptr, true));
  EXPECT_TRUE(tied(true, nullptr));
  EXPECT_TRUE(tied(true, false));
  EXPECT_FALSE(tied(false, true));
  EXPECT_FALSE(tied(nullptr, false));
  EXPECT_FALSE(tied(nullptr, nullptr));
}

struct DenseSize {
  const char* title;
  std::uint32_t hidden, intermediate, layers, heads;
  bool tied;
  std::uint32_t vision_layers, vision_hidden, vision_intermediate;
  std::vector<std::uint32_t> deepstack;

  friend void PrintTo(const DenseSize& size, std::ostream* out) { *out << size.title; }
};

class HfConfigOfSize : public testing::TestWithParam<DenseSize> {};

TEST_P(HfConfigOfSize, IsUnderstood) {
  const DenseSize& size = GetParam();
  const TempFolder folder;
  TinyModel model;
  model.config["tie_word_embeddings"] = size.tied;
  model.config["text_config"].update(
      {{"vocab_size", 151936},
       {"hidden_size", size.hidden},
       {"intermediate_size", size.intermediate},
       {"num_hidden_layers", size.layers},
       {"num_attention_heads", size.heads},
       {"num_key_value_heads", 8},
       {"head_dim", 128},
       {"max_position_embeddings", 262144},
       {"rope_theta", 5000000},
       {"rope_scaling", {{"rope_type", "default"}, {"mrope_interleaved", true}, {"mrope_section", {24, 20, 20}}}}});
  model.config["vision_config"].update({{"depth", size.vision_layers},
                                        {"hidden_size", size.vision_hidden},
                                        {"intermediate_size", size.vision_intermediate},
                                        {"num_heads", 16},
                                        {"patch_size", 16},
                                        {"out_hidden_size", size.hidden},
                                        {"num_position_embeddings", 2304},
                                        {"deepstack_visual_indexes", size.deepstack}});
  model.preprocessor["patch_size"] = 16;
  model.write(folder.path());
  const auto config = read_hf_config(folder.path());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->text.layers, size.layers);
  EXPECT_EQ(config->text.kv_heads, 8u);
  EXPECT_EQ(config->text.head_size, 128u);
  EXPECT_EQ(config->text.tied_head, size.tied);
  EXPECT_EQ(config->text.rope_sections, (std::array<std::int32_t, 3>{24, 20, 20}));
  EXPECT_EQ(config->vision.positions_per_side, 48u);
  EXPECT_EQ(config->vision.deepstack, size.deepstack);
}

INSTANTIATE_TEST_SUITE_P(Qwen3VL, HfConfigOfSize,
                         testing::Values(DenseSize{"Dense2B", 2048, 6144, 28, 16, true, 24, 1024, 4096, {5, 11, 17}},
                                         DenseSize{"Dense4B", 2560, 9728, 36, 32, true, 24, 1024, 4096, {5, 11, 17}},
                                         DenseSize{"Dense8B", 4096, 12288, 36, 32, false, 27, 1152, 4304, {8, 16, 24}},
                                         DenseSize{
                                             "Dense32B", 5120, 25600, 64, 64, false, 27, 1152, 4304, {8, 16, 24}}),
                         [](const auto& size) { return size.param.title; });

TEST(HfConfig, RefusesUnknownSettingsOfOurOwn) {
  const TempFolder folder;
  TinyModel().write(folder.path());
  write_bytes(folder.path() / "escribano.json", R"({"max_frames": 3})");
  EXPECT_THAT(read_hf_config(folder.path()).error().message, HasSubstr("max_frames"));
  write_bytes(folder.path() / "escribano.json", R"({"max_frames_per_prompt": 0})");
  EXPECT_THAT(read_hf_config(folder.path()).error().message, HasSubstr("max_frames_per_prompt"));
}

class HfTokenizerRefuses : public testing::TestWithParam<BadFolder> {};

TEST_P(HfTokenizerRefuses, TheFolder) {
  const TempFolder folder;
  TinyModel model;
  GetParam().change(model);
  model.write(folder.path());
  const auto config = read_hf_config(folder.path());
  ASSERT_TRUE(config) << config.error().message;
  const auto tokenizer = read_hf_tokenizer(folder.path(), *config);
  ASSERT_FALSE(tokenizer);
  EXPECT_EQ(tokenizer.error().code, GetParam().code) << tokenizer.error().message;
  EXPECT_THAT(tokenizer.error().message, HasSubstr(GetParam().message));
}

json& split(TinyModel& model) { return model.tokenizer["pre_tokenizer"]["pretokenizers"][0]; }

INSTANTIATE_TEST_SUITE_P(
    Bad, HfTokenizerRefuses,
    testing::Values(
        BadFolder{"OtherPattern", [](TinyModel& model) { split(model)["pattern"]["Regex"] = "\\s+"; },
                  Errc::unsupported, "pre-tokenizer"},
        BadFolder{"OtherBehaviour", [](TinyModel& model) { split(model)["behavior"] = "Removed"; }, Errc::unsupported,
                  "pre-tokenizer"},
        BadFolder{"NoPreTokenizer", [](TinyModel& model) { model.tokenizer.erase("pre_tokenizer"); }, Errc::unsupported,
                  "pre-tokenizer"},
        BadFolder{
            "PrefixSpace",
            [](TinyModel& model) { model.tokenizer["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = true; },
            Errc::unsupported, "pre-tokenizer"},
        BadFolder{"LowerCase",
                  [](TinyModel& model) {
                    model.tokenizer["normalizer"] = {{"type", "Lowercase"}};
                  },
                  Errc::unsupported, "normalizer"},
        BadFolder{"AddsTokens",
                  [](TinyModel& model) {
                    model.tokenizer["post_processor"] = {{"type", "TemplateProcessing"}};
                  },
                  Errc::unsupported, "post_processor"},
        BadFolder{"Unigram", [](TinyModel& model) { model.tokenizer["model"]["type"] = "Unigram"; }, Errc::unsupported,
                  "Unigram"},
        BadFolder{"ByteFallback", [](TinyModel& model) { model.tokenizer["model"]["byte_fallback"] = true; },
                  Errc::unsupported, "byte_fallback"},
        BadFolder{"NoVocabulary", [](TinyModel& model) { model.tokenizer["model"].erase("vocab"); }, Errc::corrupt,
                  "vocab"},
        BadFolder{"IdBeyondTheVocabulary", [](TinyModel& model) { model.tokenizer["model"]["vocab"]["z"] = 16; },
                  Errc::corrupt, "vocab_size"},
        BadFolder{"NegativeId", [](TinyModel& model) { model.tokenizer["model"]["vocab"]["z"] = -1; }, Errc::corrupt,
                  "vocab_size"},
        BadFolder{"TwoTokensOfOneId", [](TinyModel& model) { model.tokenizer["model"]["vocab"]["z"] = 0; },
                  Errc::corrupt, "taken"},
        BadFolder{"AddedTokenOverAnother", [](TinyModel& model) { model.tokenizer["added_tokens"][0]["id"] = 1; },
                  Errc::corrupt, "taken"},
        BadFolder{"AddedTokenOfATakenName",
                  [](TinyModel& model) { model.tokenizer["added_tokens"][0]["content"] = "a"; }, Errc::corrupt,
                  "taken"},
        BadFolder{"TokenNamedLikePadding", [](TinyModel& model) { model.tokenizer["model"]["vocab"]["[PAD13]"] = 14; },
                  Errc::corrupt, "padding"},
        BadFolder{"MergeOfUnknownTokens", [](TinyModel& model) { model.tokenizer["model"]["merges"] = {"a z"}; },
                  Errc::corrupt, "merge number 0"},
        BadFolder{"MergeOfThree", [](TinyModel& model) { model.tokenizer["model"]["merges"] = {"a b c"}; },
                  Errc::corrupt, "merge number 0"},
        BadFolder{"MergeOfAnotherType", [](TinyModel& model) { model.tokenizer["model"]["merges"] = {1}; },
                  Errc::corrupt, "merge number 0"},
        BadFolder{"UnknownEndToken", [](TinyModel& model) { model.tokenizer_config["eos_token"] = "<eos>"; },
                  Errc::corrupt, "eos_token"},
        BadFolder{"NoEndToken",
                  [](TinyModel& model) {
                    model.tokenizer_config.erase("eos_token");
                    model.config["text_config"].erase("eos_token_id");
                    model.generation = nullptr;
                  },
                  Errc::corrupt, "end-of-text"},
        BadFolder{"BosToAddButNone", [](TinyModel& model) { model.tokenizer_config["add_bos_token"] = true; },
                  Errc::corrupt, "add_bos_token"}),
    [](const auto& case_info) { return case_info.param.title; });

Result<HfTokenizer> tokenizer_of(const TinyModel& model, const std::filesystem::path& folder) {
  model.write(folder);
  const auto config = read_hf_config(folder);
  if (!config) return fail(config.error());
  return read_hf_tokenizer(folder, *config);
}

TEST(HfTokenizer, ReadsMergesInBothSpellings) {
  const TempFolder folder;
  TinyModel model;
  const auto lists = tokenizer_of(model, folder.path());
  model.tokenizer["model"]["merges"] = {"a b", "ab c"};
  const auto strings = tokenizer_of(model, folder.path());
  ASSERT_TRUE(lists && strings);
  EXPECT_EQ(lists->merges, strings->merges);
}

TEST(HfTokenizer, TakesTheEndTokenFromWhereverItIsNamed) {
  const TempFolder folder;
  TinyModel model;
  model.tokenizer_config.erase("eos_token");
  EXPECT_EQ(tokenizer_of(model, folder.path())->eos, 10u);
  model.config["text_config"].erase("eos_token_id");
  model.generation["eos_token_id"] = 12;
  EXPECT_EQ(tokenizer_of(model, folder.path())->eos, 12u);
}

TEST(HfTokenizer, KeepsStopTokensThatTheRuntimeDoesNotKnowByName) {
  const TempFolder folder;
  TinyModel model;
  model.generation["eos_token_id"] = {10, 8, 12, 11};
  EXPECT_EQ(tokenizer_of(model, folder.path())->more_stops, (std::vector<std::uint32_t>{12, 11}));
}

TEST(HfTokenizer, PrefersTheTemplateThatHasAFileOfItsOwn) {
  const TempFolder folder;
  TinyModel model;
  EXPECT_EQ(tokenizer_of(model, folder.path())->chat_template, "{{ messages }}");
  model.tokenizer_config["chat_template"] = {{{"name", "tools"}, {"template", "T"}},
                                             {{"name", "default"}, {"template", "D"}}};
  EXPECT_EQ(tokenizer_of(model, folder.path())->chat_template, "D");
  write_bytes(folder.path() / "chat_template.json", R"({"chat_template": "J"})");
  EXPECT_EQ(tokenizer_of(model, folder.path())->chat_template, "J");
  write_bytes(folder.path() / "chat_template.jinja", "X");
  EXPECT_EQ(tokenizer_of(model, folder.path())->chat_template, "X");
}

TEST(ParseJson, RefusesWhatReadersCouldUnderstandInTwoWays) {
  EXPECT_TRUE(parse_json(R"({"a":{"x":1},"b":{"x":2}})", "j"));
  EXPECT_THAT(parse_json(R"({"a":[{"x":1,"x":2}]})", "j").error().message, HasSubstr("twice"));
  EXPECT_THAT(parse_json("[[[1]]]", "j", 2).error().message, HasSubstr("deeper"));
  EXPECT_TRUE(parse_json("[[[1]]]", "j", 3));
  EXPECT_FALSE(parse_json("{} x", "j"));
  EXPECT_FALSE(parse_json("\"\xFF\"", "j"));
}

}  // namespace
}  // namespace escribano::models
