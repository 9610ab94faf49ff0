// Recomputing only the patches that changed: what it leaves alone, how near it comes, and when it must not be done.
#include "engine/plan/patches.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/llama/kernel_device.h"
#include "engine/llama/llama_backend.h"
#include "image/resize.h"
#include "support/demo_model.h"

namespace escribano::engine {
namespace {

TEST(Patches, ABlockThatDiffersInOneValueIsTheOneThatChanged) {
  Image image{.width_px = 12, .height_px = 8, .rgb = std::vector<std::uint8_t>(std::size_t{3} * 12 * 8, 7)};
  const std::vector<std::uint64_t> before = block_hashes(image, 3, 2);
  ASSERT_EQ(before.size(), 6u);
  EXPECT_EQ(changed_tokens(before, before, 0, {}), std::vector<std::int32_t>());
  image.rgb[std::size_t{3} * (7 * 12 + 4)] = 8;  // the lowest line of the middle column
  EXPECT_EQ(changed_tokens(before, block_hashes(image, 3, 2), 0, {}), std::vector<std::int32_t>{4});
}

TEST(Patches, WholePicturesAreComputedBeyondTheShareAndTheNumberInARow) {
  const std::vector<std::uint64_t> before = {1, 2, 3, 4};
  const std::vector<std::uint64_t> half = {1, 2, 5, 6};
  const PatchRule rule = {.most_changed = 0.5, .most_in_a_row = 3};
  EXPECT_EQ(changed_tokens(before, half, 2, rule), (std::vector<std::int32_t>{2, 3}));
  EXPECT_EQ(changed_tokens(before, half, 3, rule), std::nullopt);
  EXPECT_EQ(changed_tokens(before, before, 3, rule), std::vector<std::int32_t>()) << "nothing has to be computed";
  EXPECT_EQ(changed_tokens(before, std::vector<std::uint64_t>{1, 7, 5, 6}, 0, rule), std::nullopt);
}

std::unique_ptr<Backend> load(std::optional<PatchRule> patches, int image_tokens = 256) {
  LlamaOptions options = {.model = demo_model().model, .projector = demo_model().projector};
  options.slots = 2;
  options.context_tokens = 1024;
  options.threads = 1;
  options.max_image_tokens = image_tokens;
  options.patches = patches;
  return load_llama_backend(options).value();
}

Image sample(std::size_t index) {
  const Image image = load_image(sample_frames().at(index), {}).value();
  return resize_bicubic(image, model_image_size(image.size(), demo_pixel_rule()).value());
}

Image inverted(Image image) {
  for (std::uint8_t& value : image.rgb) value = static_cast<std::uint8_t>(255 - value);
  return image;
}

// Of the block of token (column, row), 32 pixels a side.
Image with_inverted_block(Image image, int column, int row) {
  for (int y = 32 * row; y < 32 * (row + 1); ++y) {
    for (int x = 3 * 32 * column; x < 3 * 32 * (column + 1); ++x) {
      std::uint8_t& value = image.rgb[static_cast<std::size_t>(3 * y * image.width_px + x)];
      value = static_cast<std::uint8_t>(255 - value);
    }
  }
  return image;
}

ImageEmbedding encode(Backend& backend, const Image& image) {
  return backend.encode(*backend.prepare(image).value()).value();
}

// Root mean square of the difference over that of `a`.
double difference(std::span<const float> a, std::span<const float> b) {
  double squares = 0;
  double size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    squares += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    size += static_cast<double>(a[i]) * a[i];
  }
  return std::sqrt(squares / size);
}

class ChangedPatches : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kernel_device(1) == nullptr) GTEST_SKIP() << "there are no kernels for this processor";
  }
};

TEST_F(ChangedPatches, AllOfThemRecomputedGiveTheBitsOfTheWholePicture) {
  for (const int image_tokens : {256, 600}) {  // attention written out, and flash attention
    const auto whole = load({}, image_tokens);
    const auto part = load(PatchRule{.most_changed = 1}, image_tokens);
    const Image first = sample(0);
    EXPECT_EQ(encode(*part, first).values, encode(*whole, first).values) << image_tokens;
    const ImageEmbedding all = encode(*part, inverted(first));
    EXPECT_EQ(all.reused_tokens, 0);
    EXPECT_TRUE(all.exact);
    EXPECT_EQ(all.values, encode(*whole, inverted(first)).values) << image_tokens;
  }
}

TEST_F(ChangedPatches, AnUnchangedPictureIsGivenAgainWithoutTheVisionTower) {
  const auto backend = load(PatchRule{});
  const Image picture = sample(0);
  const ImageEmbedding first = encode(*backend, picture);
  EXPECT_EQ(first.reused_tokens, 0);
  backend->interrupt();  // a run of the vision tower would fail now
  const ImageEmbedding again = backend->encode(*backend->prepare(picture).value()).value();
  EXPECT_EQ(again.values, first.values);
  EXPECT_EQ(again.reused_tokens, first.tokens);
  EXPECT_TRUE(again.exact);
}

TEST_F(ChangedPatches, ASmallChangeIsSeenAndTheRestIsTakenOver) {
  for (const int image_tokens : {256, 600}) {
    const auto whole = load({}, image_tokens);
    const auto part = load(PatchRule{}, image_tokens);
    const Image before = sample(0);
    const Image after = with_inverted_block(before, 5, 6);
    const ImageEmbedding kept = encode(*part, before);
    const ImageEmbedding made = encode(*part, after);
    const ImageEmbedding exact = encode(*whole, after);
    EXPECT_EQ(made.reused_tokens, made.tokens - 1);
    EXPECT_FALSE(made.exact);
    const auto width = static_cast<std::size_t>(made.width);
    const auto changed = static_cast<std::size_t>(6 * made.columns + 5);
    const auto row = [&](const ImageEmbedding& e, std::size_t token) {
      return std::span<const float>(e.values).subspan(token * width, width);
    };
    for (std::size_t token = 0; token < static_cast<std::size_t>(made.tokens); ++token) {
      if (token == changed) continue;
      ASSERT_TRUE(std::ranges::equal(row(made, token), row(kept, token))) << token;
    }
    EXPECT_LT(difference(row(exact, changed), row(made, changed)), 0.1);
    EXPECT_GT(difference(row(exact, changed), row(kept, changed)), 0.5) << "the change must matter";
    EXPECT_LT(difference(exact.values, made.values), 0.1);
  }
}

TEST_F(ChangedPatches, TheWholePictureIsComputedAfterAnotherSizeAnInterruptionAndSoManyInARow) {
  const auto whole = load({});
  const auto part = load(PatchRule{.most_changed = 0.5, .most_in_a_row = 2});
  const Image first = sample(0);
  const auto expect_whole = [&](const Image& image, const char* why) {
    const ImageEmbedding made = encode(*part, image);
    EXPECT_EQ(made.reused_tokens, 0) << why;
    EXPECT_TRUE(made.exact) << why;
    EXPECT_EQ(made.values, encode(*whole, image).values) << why;
  };
  const auto expect_part = [&](const Image& image) { EXPECT_GT(encode(*part, image).reused_tokens, 0); };
  Image small{.width_px = 320, .height_px = 192, .rgb = std::vector<std::uint8_t>(std::size_t{3} * 320 * 192, 99)};

  expect_whole(first, "the first");
  expect_whole(small, "another size");
  expect_whole(first, "the size of before");
  expect_part(with_inverted_block(first, 1, 1));
  expect_part(with_inverted_block(first, 2, 1));
  expect_whole(with_inverted_block(first, 3, 1), "two in a row");
  expect_part(with_inverted_block(first, 4, 1));

  part->interrupt();
  EXPECT_EQ(part->encode(*part->prepare(with_inverted_block(first, 5, 1)).value()).error().code, Errc::cancelled);
  part->arm();
  expect_whole(with_inverted_block(first, 5, 1), "an interruption");
  expect_whole(inverted(first), "too much has changed");
}

TEST_F(ChangedPatches, WhatWasTakenOverIsNotKeptForTheSamePictureLater) {
  EngineOptions options = {.pixel_rule = demo_pixel_rule()};
  options.answer_cache_bytes = 0;
  auto engine = Engine::start(load(PatchRule{}), options).value();
  const Image first = sample(0);
  const Image touched = with_inverted_block(first, 5, 6);
  DescribeRequest request;
  for (const Image& image : {first, touched, inverted(first), touched, first}) {
    request.frames.push_back({.path = {}, .image = std::make_shared<const Image>(image)});
  }
  std::vector<std::string> reused;
  for (const FrameResult& result : describe(*engine, std::move(request))) {
    reused.emplace_back(reuse_name(result.stats.reused));
  }
  EXPECT_EQ(reused, (std::vector<std::string>{"none", "patches", "none", "none", "cache"}));
  const auto tokens = static_cast<std::uint64_t>(first.width_px / 32 * (first.height_px / 32));
  EXPECT_EQ(engine->counters().image_tokens_encoded, 3 * tokens + 1);
}

TEST_F(ChangedPatches, FramesOfARecordingAreDescribedAsOnWholePictures) {
  const auto described = [](std::unique_ptr<Backend> backend) {
    auto engine = Engine::start(std::move(backend), {.pixel_rule = demo_pixel_rule()}).value();
    DescribeRequest request;
    const std::vector<std::filesystem::path> frames = sample_frames();
    for (std::size_t i = 0; i < 12; ++i) request.frames.push_back({.path = frames.at(i)});
    std::vector<std::string> all;
    for (const FrameResult& result : describe(*engine, std::move(request))) {
      EXPECT_EQ(result.status, FrameStatus::described);
      std::string what = result.description.activity;
      for (const std::string& app : result.description.apps) what += ", " + app;
      all.push_back(std::move(what));
    }
    return std::pair(all, engine->counters().image_tokens_encoded);
  };
  const auto [whole, all_tokens] = described(load({}));
  const auto [part, tokens] = described(load(PatchRule{}));
  EXPECT_EQ(part, whole);
  EXPECT_LT(tokens, all_tokens);
}

TEST_F(ChangedPatches, CannotBeHadWithoutTheKernels) {
  LlamaOptions options = {.model = demo_model().model, .projector = demo_model().projector};
  options.kernels = false;
  options.patches.emplace();
  const auto backend = load_llama_backend(options);
  ASSERT_FALSE(backend);
  EXPECT_EQ(backend.error().code, Errc::unsupported);
  EXPECT_NE(backend.error().message.find("kernels"), std::string::npos);
}

}  // namespace
}  // namespace escribano::engine
