#include "engine/core/sampler.h"

#include <limits>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace escribano::engine {
namespace {

// Tokens: 0 "a", 1 "description: ", 2 "|", 3 end of turn, 4 a control token.
Vocabulary vocabulary() {
  const std::vector<std::string> pieces = {"a", "description: ", "|", "", ""};
  return Vocabulary(pieces, {false, false, false, true, false});
}

TEST(Sampler, GreedyTakesTheLikeliestAndTheFirstOfEquals) {
  const Vocabulary words = vocabulary();
  Sampler sampler({}, words, 0);
  EXPECT_EQ(sampler.pick(std::vector<float>{1, 3, 2, 0, 3}, nullptr, {}).value(), 1);
}

TEST(Sampler, TheGrammarMovesTheChoiceToTheLikeliestAllowedToken) {
  const Vocabulary words = vocabulary();
  Sampler sampler({}, words, 0);
  const LineGrammar grammar = LineGrammar::single();
  EXPECT_EQ(sampler.pick(std::vector<float>{5, 1, 4, 9, 9}, &grammar, {}).value(), 1)
      << "neither free text, nor the end, nor a control token can begin a line";
}

TEST(Sampler, ABannedTokenIsPassedOver) {
  const Vocabulary words = vocabulary();
  Sampler sampler({}, words, 0);
  EXPECT_EQ(sampler.pick(std::vector<float>{1, 3, 2, 0, 0}, nullptr, 1).value(), 2);
}

TEST(Sampler, OutputThatIsNotANumberIsAnError) {
  const Vocabulary words = vocabulary();
  Sampler sampler({}, words, 0);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(sampler.pick(std::vector<float>{1, nan, 2, 0, 0}, nullptr, {}).error().code, Errc::inference_failed);
  EXPECT_EQ(sampler.pick(std::vector<float>{nan, nan, nan, nan, nan}, nullptr, {}).error().code,
            Errc::inference_failed);
}

TEST(Sampler, NoAllowedTokenIsAnErrorAndNotALoop) {
  const std::vector<std::string> pieces = {"|"};
  const Vocabulary words(pieces, {false});
  Sampler sampler({}, words, 0);
  const LineGrammar grammar = LineGrammar::single();
  EXPECT_EQ(sampler.pick(std::vector<float>{1}, &grammar, {}).error().code, Errc::inference_failed);
}

TEST(Sampler, TheSeedDecidesAndTheSaltSeparatesFrames) {
  const Vocabulary words = vocabulary();
  const std::vector<float> logits = {1, 1, 1, 1, 1};
  const auto draw = [&](std::uint32_t seed, std::uint64_t salt) {
    Sampler sampler({.temperature = 1, .seed = seed}, words, salt);
    std::string drawn;
    for (int i = 0; i < 32; ++i) drawn += static_cast<char>('0' + sampler.pick(logits, nullptr, {}).value());
    return drawn;
  };
  EXPECT_EQ(draw(1, 7), draw(1, 7));
  EXPECT_NE(draw(1, 7), draw(2, 7));
  EXPECT_NE(draw(1, 7), draw(1, 8));
}

TEST(Sampler, DrawsFollowTheProbabilitiesOfTheAllowedTokens) {
  const Vocabulary words = vocabulary();
  Sampler sampler({.temperature = 1, .seed = 3}, words, 0);
  std::map<Token, int> counts;
  // ln 3 more likely: three times as often; token 2 is banned.
  for (int i = 0; i < 4000; ++i)
    ++counts[sampler.pick(std::vector<float>{1.0986F, 0, 5, -50, -50}, nullptr, 2).value()];
  EXPECT_EQ(counts[2], 0);
  EXPECT_NEAR(static_cast<double>(counts[0]) / 4000, 0.75, 0.03);
}

}  // namespace
}  // namespace escribano::engine
