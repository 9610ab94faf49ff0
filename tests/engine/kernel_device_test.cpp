// What engine/kernels promises of texts: with them and without them the demo model writes the same, in half precision and
// in bf16.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/llama/kernel_device.h"
#include "engine/llama/llama_backend.h"
#include "image/resize.h"
#include "models/import.h"
#include "support/demo_model.h"

namespace escribano::engine {
namespace {

constexpr int kContextTokens = 1024;

struct Options {
  ModelFiles files = demo_model();
  bool kernels = true;
  Precision precision = Precision::exact;
  int slots = 4;
  int image_tokens = 256;
};

std::vector<std::string> texts(const Options& options, const std::vector<std::filesystem::path>& frames) {
  LlamaOptions llama = {.model = options.files.model, .projector = options.files.projector};
  llama.slots = options.slots;
  llama.context_tokens = kContextTokens;
  llama.threads = 1;
  llama.max_image_tokens = options.image_tokens;
  llama.kernels = options.kernels;
  llama.precision = options.precision;
  auto backend = load_llama_backend(llama);
  EXPECT_TRUE(backend) << backend.error().message;
  EngineOptions engine_options = {.pixel_rule = demo_pixel_rule()};
  auto engine = Engine::start(*std::move(backend), engine_options);
  EXPECT_TRUE(engine) << engine.error().message;
  DescribeRequest request;
  for (const auto& frame : frames) request.frames.push_back({.path = frame});
  std::vector<std::string> all;
  for (const FrameResult& result : describe(**engine, std::move(request))) {
    EXPECT_EQ(result.status, FrameStatus::described);
    all.push_back(result.raw);
  }
  return all;
}

std::vector<std::filesystem::path> eight_frames() {
  std::vector<std::filesystem::path> frames;
  const std::vector<std::filesystem::path> all = sample_frames();
  for (std::size_t i = 0; i < all.size(); i += 4) frames.push_back(all[i]);
  return frames;
}

ModelFiles demo_model_in_bf16() {
  auto files =
      import_folder(std::filesystem::path(ESCRIBANO_SOURCE_DIR) / "assets" / "demo-model",
                    std::filesystem::path(ESCRIBANO_BINARY_DIR) / "test-home" / "bf16", {WeightType::bf16, {}});
  if (!files) throw std::runtime_error(files.error().message);
  return *std::move(files);
}

class KernelDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kernel_device(1) == nullptr) GTEST_SKIP() << "there are no kernels for this processor";
  }
};

TEST_F(KernelDevice, WritesTheTextsThatLlamaCppWritesWithoutIt) {
  const auto frames = eight_frames();
  const auto with = texts({}, frames);
  EXPECT_GE(std::set<std::string>(with.begin(), with.end()).size(), 4u)
      << "frames must differ for this to prove anything";
  EXPECT_EQ(texts({.kernels = false}, frames), with);
}

TEST_F(KernelDevice, WritesTheSameTextsWithFlashAttentionInTheVisionTower) {
  const auto frames = eight_frames();
  EXPECT_EQ(texts({.image_tokens = 600}, frames), texts({}, frames));
}

TEST_F(KernelDevice, WritesTheSameTextsInBf16AloneAndInCompany) {
  const ModelFiles bf16 = demo_model_in_bf16();
  const auto frames = eight_frames();
  const auto together = texts({.files = bf16, .slots = 8}, frames);
  EXPECT_EQ(texts({.files = bf16, .kernels = false}, frames), together);
  EXPECT_EQ(texts({.files = bf16, .slots = 1}, frames), together);
  EXPECT_EQ(texts({}, frames), together) << "in half precision";
}

// What of an answer is not prose: activity and apps.
std::vector<std::string> fields(const std::vector<std::string>& texts) {
  std::vector<std::string> all;
  for (const std::string& text : texts) {
    const std::size_t begin = text.find("| activity:");
    all.push_back(text.substr(begin, text.find("| topics:") - begin));
  }
  return all;
}

TEST_F(KernelDevice, SeesTheSameInFewerBitsAloneAndInCompany) {
  const auto frames = eight_frames();
  const auto exact = texts({}, frames);
  for (const Precision precision : {Precision::bf16, Precision::int8}) {
    if (precision_obstacle(precision) != nullptr) continue;
    const auto together = texts({.precision = precision}, frames);
    EXPECT_EQ(fields(together), fields(exact)) << precision_name(precision);
    EXPECT_EQ(texts({.precision = precision, .slots = 1}, frames), together) << precision_name(precision);
  }
}

TEST_F(KernelDevice, ComputesFeaturesInThePrecisionOfEachEngineAndNeverInAnothers) {
  const auto features = [](Precision precision) {
    LlamaOptions llama = {.model = demo_model().model, .projector = demo_model().projector};
    llama.threads = 1;
    llama.precision = precision;
    return load_llama_backend(llama).value();
  };
  if (precision_obstacle(Precision::int8) != nullptr) GTEST_SKIP() << precision_obstacle(Precision::int8);
  const auto exact = features(Precision::exact);
  const auto int8 = features(Precision::int8);
  const Image frame = load_image(sample_frames().front(), {}).value();
  const Image image = resize_bicubic(frame, model_image_size(frame.size(), demo_pixel_rule()).value());
  const auto prepared = exact->prepare(image).value();
  const auto before = exact->encode(*prepared).value().values;
  const auto rounded = int8->encode(*int8->prepare(image).value()).value().values;
  EXPECT_EQ(exact->encode(*prepared).value().values, before) << "another engine has no say in it";
  ASSERT_EQ(rounded.size(), before.size());
  float largest = 0;
  double difference = 0;
  double size = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    largest = std::max(largest, std::abs(rounded[i] - before[i]));
    difference += (rounded[i] - before[i]) * (rounded[i] - before[i]);
    size += before[i] * before[i];
  }
  EXPECT_GT(largest, 0);
  EXPECT_LT(std::sqrt(difference / size), 0.05) << "largest difference " << largest;
}

TEST(Precision, IsRefusedWhereItCannotBeHadAndSaysWhy) {
  LlamaOptions llama = {.model = demo_model().model};
  llama.kernels = false;
  llama.precision = Precision::int8;
  const auto backend = load_llama_backend(llama);
  ASSERT_FALSE(backend);
  EXPECT_EQ(backend.error().code, Errc::unsupported);
  EXPECT_NE(backend.error().message.find("ESCRIBANO_PRODUCTS"), std::string::npos) << backend.error().message;
  EXPECT_NE(backend.error().message.find("ESCRIBANO_KERNELS"), std::string::npos) << backend.error().message;
}

}  // namespace
}  // namespace escribano::engine
