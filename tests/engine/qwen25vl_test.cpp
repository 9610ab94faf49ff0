// Qwen2.5-VL against what transformers computed in float32 for small models with made-up weights
// (tests/golden/qwen2_5_vl.json): windows and whole layers, pictures that are no multiple of a window, both spellings.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/core/prompt.h"
#include "engine/llama/llama_backend.h"
#include "models/import.h"
#include "models/tiny_qwen25vl.h"
#include "support/demo_model.h"
#include "support/mlx_folder.h"
#include "support/temp_folder.h"

namespace escribano::engine {
namespace {

using models::TinyModel;
using Json = nlohmann::json;

struct Computed {
  std::vector<float> features;
  std::vector<float> logits;
};

std::unique_ptr<Backend> load(const std::filesystem::path& folder, const std::filesystem::path& cache, bool kernels,
                              int max_image_tokens, WeightType weights = WeightType::f16) {
  const auto files = import_folder(folder, cache, {.weights = weights});
  if (!files) throw std::runtime_error(files.error().message);
  LlamaOptions options = {.model = files->model, .projector = files->projector, .slots = 1, .context_tokens = 256};
  options.threads = 1;
  options.max_image_tokens = max_image_tokens;
  options.kernels = kernels;
  return load_llama_backend(options).value();
}

// The picture of the case between its tokens.
Computed compute(Backend& backend, const Json& golden) {
  const auto prepared = backend.prepare(models::qwen25vl_picture(golden)).value();
  const ImageEmbedding embedding = backend.encode(*prepared).value();
  EXPECT_EQ(embedding.columns, golden.at("columns").get<int>());
  EXPECT_EQ(embedding.rows, golden.at("rows").get<int>());
  const auto before = golden.at("before").get<std::vector<Token>>();
  const auto after = golden.at("after").get<std::vector<Token>>();
  Position at = 0;
  EXPECT_TRUE(backend.prefill(0, before, at, false));
  at += static_cast<Position>(before.size());
  EXPECT_TRUE(backend.prefill(0, embedding, at));
  at += embedding.positions;
  EXPECT_TRUE(backend.prefill(0, after, at, true));
  at += static_cast<Position>(after.size()) - 1;
  for (const Json& reference : golden.at("last_position")) EXPECT_EQ(at, reference.get<Position>());
  return {embedding.values, {backend.logits(0).begin(), backend.logits(0).end()}};
}

// The greatest difference, as a share of the greatest value.
double relative_difference(const std::vector<float>& values, const std::vector<float>& reference) {
  EXPECT_EQ(values.size(), reference.size());
  double difference = 0;
  double largest = 0;
  for (std::size_t i = 0; i < std::min(values.size(), reference.size()); ++i) {
    difference = std::max(difference, std::abs(static_cast<double>(values[i]) - static_cast<double>(reference[i])));
    largest = std::max(largest, std::abs(static_cast<double>(reference[i])));
  }
  return difference / largest;
}
double relative_difference(const std::vector<float>& values, const Json& reference) {
  return relative_difference(values, reference.get<std::vector<float>>());
}

// Case, kernels of our own, flash attention in the vision tower.
class Qwen25Vl : public ::testing::TestWithParam<std::tuple<int, bool, bool>> {};

TEST_P(Qwen25Vl, ComputesWhatTheReferenceComputes) {
  const auto [number, kernels, flash] = GetParam();
  const TempFolder temp;
  const Json golden = models::qwen25vl_cases().at(static_cast<std::size_t>(number));
  models::tiny_qwen25vl(golden).write(temp.path() / "folder");
  const auto backend =
      load(temp.path() / "folder", temp.path() / "cache", kernels, flash ? kExactAttentionTokens + 1 : 64);
  const Computed computed = compute(*backend, golden);
  const double features = relative_difference(computed.features, golden.at("features"));
  const double logits = relative_difference(computed.logits, golden.at("logits"));
  RecordProperty("features", std::to_string(features));
  RecordProperty("logits", std::to_string(logits));
  EXPECT_LT(features, 5e-3);
  EXPECT_LT(logits, 5e-3);
}

std::string test_name(const ::testing::TestParamInfo<Qwen25Vl::ParamType>& info) {
  const auto [number, kernels, flash] = info.param;
  return std::string(number == 0   ? "Wide"
                     : number == 1 ? "Tall"
                                   : "Whole") +
         (kernels ? "WithKernels" : "Plain") + (flash ? "Flash" : "Exact");
}

INSTANTIATE_TEST_SUITE_P(Cases, Qwen25Vl,
                         ::testing::Combine(::testing::Values(0, 1, 2), ::testing::Bool(), ::testing::Bool()),
                         test_name);

// Its windows put the patches into another order.
TEST(Qwen25VlPatches, ComputingOnlyWhatChangedIsRefused) {
  const TempFolder temp;
  models::tiny_qwen25vl(models::qwen25vl_cases().front()).write(temp.path() / "folder");
  const auto files = import_folder(temp.path() / "folder", temp.path() / "cache").value();
  for (const int image_tokens : {64, kExactAttentionTokens + 1}) {
    LlamaOptions options = {.model = files.model, .projector = files.projector, .slots = 1, .context_tokens = 256};
    options.threads = 1;
    options.max_image_tokens = image_tokens;
    options.patches.emplace();
    const auto backend = load_llama_backend(options);
    ASSERT_FALSE(backend);
    EXPECT_EQ(backend.error().code, Errc::unsupported) << backend.error().message;
  }
}

TEST(Qwen25VlInMlxLayout, EightBitsInTheTowerMoveTheFeaturesLittle) {
  const TempFolder temp;
  const Json golden = models::qwen25vl_cases().front();
  TinyModel model = models::tiny_qwen25vl(golden);
  models::use_long_names(model);
  model.write(temp.path() / "folder");
  write_mlx_folder(temp.path() / "folder", temp.path() / "mlx", {.bits = 8, .group_size = 32, .vision_tower = true});
  const auto backend = load(temp.path() / "mlx", temp.path() / "cache", true, 64);
  const Computed computed = compute(*backend, golden);
  EXPECT_LT(relative_difference(computed.features, golden.at("features")), 3e-2);
  EXPECT_LT(relative_difference(computed.logits, golden.at("logits")), 3e-2);
}

// As large folders are imported. Kernels multiply in bf16 then, whose numbers have eight significant bits.
TEST(Qwen25VlInBf16, ComputesNearlyTheSameWithKernelsAndWithout) {
  const TempFolder temp;
  const Json golden = models::qwen25vl_cases().front();
  models::tiny_qwen25vl(golden).write(temp.path() / "folder");
  for (const bool kernels : {false, true}) {
    const auto backend = load(temp.path() / "folder", temp.path() / "cache", kernels, 64, WeightType::bf16);
    const Computed computed = compute(*backend, golden);
    EXPECT_LT(relative_difference(computed.features, golden.at("features")), 2e-2) << kernels;
    EXPECT_LT(relative_difference(computed.logits, golden.at("logits")), 2e-2) << kernels;
  }
}

TEST(Qwen25VlTower, MayHaveNothingButWindows) {
  const TempFolder temp;
  const Json golden = models::qwen25vl_cases().front();
  TinyModel model = models::tiny_qwen25vl(golden);
  model.config["vision_config"]["fullatt_block_indexes"] = Json::array();
  model.write(temp.path() / "folder");
  const auto backend = load(temp.path() / "folder", temp.path() / "cache", true, 64);
  const double difference = relative_difference(compute(*backend, golden).features, golden.at("features"));
  EXPECT_GT(difference, 1e-2) << "two layers of the reference look at the whole picture";
  EXPECT_LT(difference, 1);
}

TEST(Qwen25VlEngine, DescribesAFrame) {
  const TempFolder temp;
  models::tiny_qwen25vl().write(temp.path() / "folder");
  const ModelFiles files = import_folder(temp.path() / "folder", temp.path() / "cache").value();
  LlamaOptions llama = {.model = files.model, .projector = files.projector, .slots = 1, .context_tokens = 4096};
  llama.threads = 1;
  llama.max_image_tokens = 64;
  EngineOptions options = {.slots = 1};
  options.pixel_rule = {.patch_size_px = 14, .merge_size = 2, .min_pixels = 3136, .max_pixels = 64 * 784};
  const auto engine = Engine::start(load_llama_backend(llama).value(), options).value();
  DescribeRequest request;
  request.max_tokens = 60;
  request.frames.push_back({.path = std::filesystem::path(ESCRIBANO_SOURCE_DIR) / "tests/golden/frame-0-672x384.png"});
  const std::vector<FrameResult> results = describe(*engine, std::move(request));
  ASSERT_EQ(results.size(), 1u);
  EXPECT_NE(results.front().status, FrameStatus::failed);
  EXPECT_EQ(results.front().stats.image_tokens, 10 * 6);
}

TEST(Qwen25VlPrompt, IsThatOfItsTemplate) {
  const TempFolder temp;
  models::tiny_qwen25vl().write(temp.path() / "folder");
  const auto backend = load(temp.path() / "folder", temp.path() / "cache", true, 64);
  const Prompt prompt = build_user_turn(*backend, {ImagePart{0}, std::string("Hi")}).value();
  ASSERT_EQ(prompt.pieces.size(), 3u);
  std::vector<Token> opening = {257};
  for (const char c : std::string("system\nYou are a helpful assistant.")) opening.push_back(c);
  opening.insert(opening.end(), {258, '\n', 257, 'u', 's', 'e', 'r', '\n', 259});
  EXPECT_EQ(std::get<std::vector<Token>>(prompt.pieces[0]), opening);
  std::vector<Token> ending = {260, 'H', 'i', 258, '\n', 257};
  for (const char c : std::string("assistant\n")) ending.push_back(c);
  EXPECT_EQ(std::get<std::vector<Token>>(prompt.pieces[2]), ending);
}

}  // namespace
}  // namespace escribano::engine
