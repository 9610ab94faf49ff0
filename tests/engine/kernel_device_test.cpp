// What engine/kernels promises of texts: with them and without them the demo model writes the same, in half precision and
// in bf16.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/llama/kernel_device.h"
#include "engine/llama/llama_backend.h"
#include "models/import.h"
#include "support/demo_model.h"

namespace escribano::engine {
namespace {

constexpr int kContextTokens = 1024;

struct Options {
  ModelFiles files = demo_model();
  bool kernels = true;
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

}  // namespace
}  // namespace escribano::engine
