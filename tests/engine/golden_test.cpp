// The engine against what the reference implementation computed in float32 for the same model (tests/golden/golden.json):
// token ids, vision features, and greedy answers, for single frames and interleaved prompts, at two sizes.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <ostream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "engine/core/prompt.h"
#include "format/prompts.h"
#include "image/resize.h"
#include "support/demo_model.h"

namespace escribano::engine {
namespace {

using Json = nlohmann::json;

const std::filesystem::path kGolden = std::filesystem::path(ESCRIBANO_SOURCE_DIR) / "tests" / "golden";

struct GoldenCase {
  Json json;

  const Json& at(const char* key) const { return json.at(key); }
  friend void PrintTo(const GoldenCase& golden, std::ostream* out) { *out << golden.json.at("name"); }
};

std::vector<GoldenCase> golden_cases() {
  const auto text = read_text_file(kGolden / "golden.json", 16 << 20);
  std::vector<GoldenCase> cases;
  const Json golden = Json::parse(text.value());
  for (const Json& json : golden.at("cases")) cases.push_back({json});
  return cases;
}

std::string test_name(const ::testing::TestParamInfo<GoldenCase>& info) {
  std::string name = info.param.at("name");
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
}

// The timestamps that golden.py gave to the frames of its interleaved prompts.
std::vector<double> timestamps_of(const std::string& name) {
  if (name.starts_with("interleaved-3")) return {0.0, 12.5, 31.0};
  if (name.starts_with("interleaved-4")) return {40.0, 52.5, 60.0, 61.0};
  return {0.0};
}

std::vector<Token> expanded(const Json& runs) {
  std::vector<Token> ids;
  for (const Json& run : runs) {
    if (run.is_array()) {
      ids.insert(ids.end(), run.at(1).get<std::size_t>(), run.at(0).get<Token>());
    } else {
      ids.push_back(run.get<Token>());
    }
  }
  return ids;
}

class Golden : public ::testing::TestWithParam<GoldenCase> {
 protected:
  static void SetUpTestSuite() {
    backend = load_demo_backend(1, 2048).release();
    engine = start_demo_engine(2, 4096).release();
  }
  static void TearDownTestSuite() {
    delete backend;
    delete engine;
  }
  static Image model_image(const std::string& file) {
    const Image image = load_image(kGolden / file, {}).value();
    return resize_bicubic(image, model_image_size(image.size(), demo_pixel_rule()).value());
  }

  static Backend* backend;
  static Engine* engine;
};
Backend* Golden::backend = nullptr;
Engine* Golden::engine = nullptr;

// `level` 0 is the projector's output, the others are the DeepStack levels.
void expect_features(const ImageEmbedding& embedding, std::size_t level, const Json& expected) {
  const auto width = expected.at("shape").at(1).get<std::size_t>();
  const auto tokens = expected.at("shape").at(0).get<std::size_t>();
  ASSERT_EQ(static_cast<std::size_t>(embedding.tokens), tokens);
  ASSERT_LE((level + 1) * width, static_cast<std::size_t>(embedding.width));
  const auto at = [&](std::size_t token, std::size_t i) {
    return static_cast<double>(embedding.values[token * static_cast<std::size_t>(embedding.width) + level * width + i]);
  };
  double sum = 0;
  double squares = 0;
  for (std::size_t token = 0; token < tokens; ++token) {
    for (std::size_t i = 0; i < width; ++i) {
      sum += at(token, i);
      squares += at(token, i) * at(token, i);
    }
  }
  const double count = static_cast<double>(tokens * width);
  const double mean = sum / count;
  constexpr double kTolerance = 1e-2;
  EXPECT_NEAR(mean, expected.at("mean").get<double>(), 1e-3);
  EXPECT_NEAR(std::sqrt((squares - count * mean * mean) / (count - 1)), expected.at("std").get<double>(), 1e-3);
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_NEAR(at(0, i), expected.at("first_token").at(i).get<double>(), kTolerance) << "level " << level;
    EXPECT_NEAR(at(tokens - 1, i), expected.at("last_token").at(i).get<double>(), kTolerance) << "level " << level;
  }
}

TEST_P(Golden, VisionFeaturesAreThoseOfTheReference) {
  const GoldenCase& golden = GetParam();
  for (std::size_t i = 0; i < golden.at("images").size(); ++i) {
    const auto prepared = backend->prepare(model_image(golden.at("images").at(i)));
    const ImageEmbedding embedding = backend->encode(**prepared).value();
    expect_features(embedding, 0, golden.at("vision").at("merger").at(i));
    const Json& deepstack = golden.at("vision").at("deepstack");
    for (std::size_t level = 0; level < deepstack.size(); ++level) {
      expect_features(embedding, level + 1, deepstack.at(level).at(i));
    }
  }
}

Prompt prompt_of(const Backend& backend, const GoldenCase& golden) {
  const std::vector<double> timestamps = timestamps_of(golden.at("name"));
  std::vector<MessagePart> parts;
  if (timestamps.size() == 1) {
    parts = {ImagePart{0}, std::string(builtin_prompt(PromptKind::single))};
  } else {
    for (std::size_t i = 0; i < timestamps.size(); ++i) {
      parts.emplace_back(frame_label(static_cast<int>(i) + 1, timestamps[i]));
      parts.emplace_back(ImagePart{i});
    }
    const std::string count = std::to_string(timestamps.size());
    parts.emplace_back(fill(builtin_prompt(PromptKind::batch), {{"n", count}}).value());
  }
  return build_user_turn(backend, parts).value();
}

TEST_P(Golden, ThePromptHasTheTokensOfTheReference) {
  const GoldenCase& golden = GetParam();
  std::vector<Token> ids;
  constexpr Token kImagePad = 3070;
  const Prompt prompt = prompt_of(*backend, golden);
  for (const Prompt::Piece& piece : prompt.pieces) {
    if (const auto* image = std::get_if<ImagePart>(&piece)) {
      ids.insert(ids.end(), golden.at("image_tokens").at(image->image).get<std::size_t>(), kImagePad);
    } else {
      const auto& tokens = std::get<std::vector<Token>>(piece);
      ids.insert(ids.end(), tokens.begin(), tokens.end());
    }
  }
  EXPECT_EQ(ids, expanded(golden.at("input_ids")));
}

// The reference computes in float32, the engine with weights of 16 bits: the twenty greatest logits differ by less than
// 0.5 % of the greatest.
TEST_P(Golden, TheFirstLogitsAreThoseOfTheReference) {
  const GoldenCase& golden = GetParam();
  backend->truncate(0, 0);
  Position at = 0;
  for (const Prompt::Piece& piece : prompt_of(*backend, golden).pieces) {
    if (const auto* image = std::get_if<ImagePart>(&piece)) {
      const auto prepared = backend->prepare(model_image(golden.at("images").at(image->image))).value();
      const ImageEmbedding embedding = backend->encode(*prepared).value();
      ASSERT_TRUE(backend->prefill(0, embedding, at));
      at += embedding.positions;
    } else {
      const auto& tokens = std::get<std::vector<Token>>(piece);
      ASSERT_TRUE(backend->prefill(0, tokens, at, true));
      at += static_cast<Position>(tokens.size());
    }
  }
  const std::span<const float> logits = backend->logits(0);
  const Json& expected = golden.at("top_logits");
  ASSERT_GE(expected.size(), 20u);
  double largest = 0;
  double difference = 0;
  for (const Json& pair : expected) {
    const auto reference = pair.at(1).get<double>();
    largest = std::max(largest, std::abs(reference));
    difference = std::max(difference, std::abs(static_cast<double>(logits[pair.at(0).get<std::size_t>()]) - reference));
  }
  RecordProperty("relative_difference", std::to_string(difference / largest));
  EXPECT_LT(difference / largest, 5e-3);
  EXPECT_EQ(std::ranges::max_element(logits) - logits.begin(), expected.at(0).at(0).get<std::ptrdiff_t>());
}

TEST_P(Golden, GreedyTextIsThatOfTheReference) {
  const GoldenCase& golden = GetParam();
  const std::vector<double> timestamps = timestamps_of(golden.at("name"));
  for (const bool constrained : {true, false}) {
    DescribeRequest request;
    request.constrained = constrained;
    if (timestamps.size() > 1) request.strategy = Strategy::interleaved;
    for (std::size_t i = 0; i < timestamps.size(); ++i) {
      request.frames.push_back(
          {.path = kGolden / golden.at("images").at(i).get<std::string>(), .timestamp_s = timestamps[i]});
    }
    std::string answer;
    for (const FrameResult& result : describe(*engine, std::move(request))) {
      EXPECT_EQ(result.status, FrameStatus::described);
      EXPECT_EQ(result.stats.finish_reason, FinishReason::stop);
      EXPECT_EQ(result.stats.attempts, 1);
      EXPECT_EQ(result.stats.image_tokens, golden.at("image_tokens").at(0).get<int>());
      answer += (answer.empty() ? "" : "\n") + result.raw;
    }
    EXPECT_EQ(answer, golden.at("answer").get<std::string>()) << (constrained ? "constrained" : "unconstrained");
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Golden, ::testing::ValuesIn(golden_cases()), test_name);

}  // namespace
}  // namespace escribano::engine
