#include "format/score.h"

#include <gtest/gtest.h>

namespace escribano {
namespace {

const Description kTruth = {"Zoom shows the call of the team.", "meeting", {"Zoom", "Notion"}, {"planning"}};

TEST(ScoreAnswer, TheTruthIsRight) {
  const AnswerScore score = score_answer(kTruth, kTruth);
  EXPECT_TRUE(score.activity);
  EXPECT_TRUE(score.apps);
  EXPECT_EQ(score.apps_f1, 1);
  EXPECT_EQ(score.description, 1);
}

TEST(ScoreAnswer, CaseDoesNotMatter) {
  const AnswerScore score =
      score_answer({"zoom Shows the call of the TEAM.", "Meeting", {"ZOOM", "notion"}, {}}, kTruth);
  EXPECT_TRUE(score.activity);
  EXPECT_TRUE(score.apps);
  EXPECT_EQ(score.description, 1);
}

TEST(ScoreAnswer, CountsWhatIsMissingAndWhatIsTooMuch) {
  const AnswerScore score = score_answer({"Zoom shows the team.", "coding", {"Zoom", "Slack", "Figma"}, {}}, kTruth);
  EXPECT_FALSE(score.activity);
  EXPECT_FALSE(score.apps);
  EXPECT_DOUBLE_EQ(score.apps_f1, 2.0 / 5);
  EXPECT_DOUBLE_EQ(score.description, 8.0 / 11) << "the second 'the' is missing";
  EXPECT_FALSE(score_answer({"", "", {"Notion", "Zoom"}, {}}, kTruth).apps) << "the front one comes first";
  EXPECT_EQ(score_answer({}, {}).apps_f1, 1);
  EXPECT_EQ(score_answer({}, kTruth).description, 0);
}

TEST(FirstDifference, IsTheFirstWordThatIsNotTheSame) {
  EXPECT_EQ(first_difference("a b  c", "a b c\n"), std::nullopt);
  EXPECT_EQ(first_difference("", ""), std::nullopt);
  EXPECT_EQ(first_difference("a b c", "a x c"), (TextDifference{2, "b", "x"}));
  EXPECT_EQ(first_difference("a b", "a b c"), (TextDifference{3, "", "c"}));
  EXPECT_EQ(first_difference("a", ""), (TextDifference{1, "a", ""}));
}

}  // namespace
}  // namespace escribano
