#include "engine/plan/draft.h"

#include <random>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace escribano::engine {
namespace {

using Tokens = std::vector<std::int32_t>;

Tokens tokens(std::string_view letters) { return {letters.begin(), letters.end()}; }

// What stands in `text` where a cursor ends up that has followed `written`.
std::string rest(std::string_view text, std::string_view written) {
  TextCursor cursor;
  cursor.follow(tokens(text), tokens(written));
  return std::string(text.substr(cursor.place()));
}

TEST(TextCursor, GoesAlongWithATextThatIsTheSame) {
  EXPECT_EQ(rest("abcdef", ""), "abcdef");
  EXPECT_EQ(rest("abcdef", "abc"), "def");
  EXPECT_EQ(rest("abc", "abc"), "");
}

TEST(TextCursor, TakesAWordForAnotherWhereNothingElseFits) { EXPECT_EQ(rest("abcdef", "abX"), "def"); }

TEST(TextCursor, FindsItsPlaceAgainBehindWhatWasReplacedAddedOrLeftOut) {
  EXPECT_EQ(rest("abcdefgh", "abXYZef"), "gh");
  EXPECT_EQ(rest("abcdefgh", "abcXYd"), "efgh");
  EXPECT_EQ(rest("abcdefgh", "abg"), "h");
}

TEST(TextCursor, OfSeveralPlacesTheOneWithTheLongestRunWinsThenTheNearestAhead) {
  EXPECT_EQ(rest("kab.c.kac!", "kac"), "!") << "kac is a longer run than the c that is nearer";
  EXPECT_EQ(rest("1|2|3|4", "1|Z|"), "3|4");
  EXPECT_EQ(rest("1|2|3|4", "1|Z|Z|"), "4");
}

TEST(TextCursor, TrustsATextMoreTheLongerTheyHaveBeenTheSame) {
  const Tokens text = tokens("abcdefghijklmnop");
  int least = kTrustLevels;
  for (const std::string_view written : {"abcdefghij", "abc", "Xbcdefghij", "Xbcdef", "Xbc", "Xb", "XX"}) {
    TextCursor cursor;
    cursor.follow(text, tokens(written));
    EXPECT_LT(cursor.trust(), least) << written;
    least = cursor.trust();
  }
  EXPECT_EQ(least, 0);
}

TEST(TextCursor, BeginsAnewWhereTheAnswerWentBack) {
  TextCursor cursor;
  cursor.follow(tokens("abcdef"), tokens("abXXXX"));
  cursor.follow(tokens("abcdef"), tokens("abc"));
  EXPECT_EQ(cursor.place(), 3u);
  EXPECT_EQ(cursor.trust(), kTrustLevels - 2);
}

TEST(TextCursor, StaysInsideAnyTextAndComesToTheSamePlaceInSteps) {
  std::mt19937 random(5);
  const auto letters = [&](std::size_t most) {
    Tokens text(random() % (most + 1));
    for (auto& token : text) token = static_cast<std::int32_t>(random() % 4);
    return text;
  };
  for (int round = 0; round < 2000; ++round) {
    const Tokens text = letters(30);
    const Tokens written = letters(40);
    TextCursor at_once;
    at_once.follow(text, written);
    ASSERT_LE(at_once.place(), text.size());
    ASSERT_LE(at_once.matched(), written.size());
    ASSERT_GE(at_once.trust(), 0);
    ASSERT_LT(at_once.trust(), kTrustLevels);
    for (std::size_t i = 1; i <= at_once.matched() && i <= at_once.place(); ++i) {
      ASSERT_EQ(text[at_once.place() - i], written[written.size() - i]) << "what it says to have matched";
    }
    TextCursor in_steps;
    for (std::size_t n = 0; n <= written.size(); n += 1 + random() % 3) {
      in_steps.follow(text, std::span(written).first(n));
    }
    in_steps.follow(text, written);
    ASSERT_EQ(in_steps.place(), at_once.place());
    // The text may be one that is being written, too, and be cut.
    in_steps.follow(std::span(text).first(text.size() / 2), written);
    ASSERT_LE(in_steps.place(), text.size() / 2);
  }
}

TEST(DraftAcceptance, FollowsWhatHappenedLately) {
  DraftAcceptance acceptance;
  const double before = acceptance.rate(2);
  for (int i = 0; i < 20; ++i) acceptance.note(2, 10, 10);
  const double good = acceptance.rate(2);
  EXPECT_GT(good, before);
  EXPECT_LT(good, 1);
  for (int i = 0; i < 100; ++i) acceptance.note(2, 0, 1);
  EXPECT_LT(acceptance.rate(2), 0.1);
  EXPECT_GT(acceptance.rate(2), 0);
  for (int i = 0; i < 40; ++i) acceptance.note(2, 1, 1);
  EXPECT_GT(acceptance.rate(2), 0.8) << "it comes back";
  EXPECT_EQ(acceptance.rate(1), before) << "each level for itself";
}

TEST(RowsPerSlot, WithoutAnythingToDraftThereIsNoDraft) {
  EXPECT_EQ(rows_per_slot({}, 1, 48, 3), 1);
  const DraftOffer nothing[] = {{.tokens = 0, .acceptance = 0.99}};
  EXPECT_EQ(rows_per_slot(nothing, 1, 48, 3), 1);
}

TEST(RowsPerSlot, WhatIsProbablyWrongIsNotDraftedAndWhatIsProbablyRightWhole) {
  const DraftOffer wrong[] = {{.tokens = 40, .acceptance = 0.1}};
  EXPECT_EQ(rows_per_slot(wrong, 1, 48, 3), 1);
  const DraftOffer right[] = {{.tokens = 40, .acceptance = 0.999}};
  EXPECT_EQ(rows_per_slot(right, 1, 48, 3), 41);
}

TEST(RowsPerSlot, SequencesWithoutADraftMakeItShorter) {
  std::vector<DraftOffer> offers = {{.tokens = 40, .acceptance = 0.98}};
  const int alone = rows_per_slot(offers, 1, 48, 3);
  offers.resize(8);
  const int beside_seven = rows_per_slot(offers, 8, 48, 3);
  EXPECT_LT(beside_seven, alone) << "their rows are only filled up";
}

TEST(RowsPerSlot, TheMoreAStepCostsTheMoreIsDrafted) {
  const std::vector<DraftOffer> offers(4, {.tokens = 40, .acceptance = 0.6});
  int last = 0;
  for (const double step_cost : {1.0, 10.0, 60.0}) {
    const int rows = rows_per_slot(offers, 4, 16, step_cost);
    EXPECT_GT(rows, last) << step_cost;
    last = rows;
  }
}

TEST(RowsPerSlot, StaysWithinItsLimitsAndGrowsWithTheAcceptance) {
  std::mt19937 random(6);
  for (int round = 0; round < 2000; ++round) {
    std::vector<DraftOffer> offers(1 + random() % 6);
    for (DraftOffer& offer : offers) {
      offer = {.tokens = static_cast<int>(random() % 47),
               .acceptance = 0.01 + 0.01 * static_cast<double>(random() % 98)};
    }
    const int slots = static_cast<int>(offers.size() + random() % 3);
    const int most_rows = static_cast<int>(random() % 49);
    const int rows = rows_per_slot(offers, slots, most_rows, 3);
    ASSERT_GE(rows, 1);
    ASSERT_LE(rows, std::max(1, most_rows));
    for (DraftOffer& offer : offers) offer.acceptance = 0.5 + offer.acceptance / 2;
    ASSERT_GE(rows_per_slot(offers, slots, most_rows, 3), rows);
  }
}

}  // namespace
}  // namespace escribano::engine
