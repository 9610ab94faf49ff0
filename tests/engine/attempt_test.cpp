#include "engine/plan/attempt.h"

#include <vector>

#include <gtest/gtest.h>

namespace escribano::engine {
namespace {

using Outcome = AttemptState::Outcome;

std::vector<std::int32_t> repeated(std::vector<std::int32_t> head, const std::vector<std::int32_t>& period, int times) {
  for (int i = 0; i < times; ++i) head.insert(head.end(), period.begin(), period.end());
  return head;
}

TEST(FindLoop, NamesWhereItBeginsAndItsPeriod) {
  EXPECT_EQ(find_loop(repeated({1, 2, 3}, {7, 8, 9, 10}, 8)), (Loop{.start = 3, .period = 4}));
}

TEST(FindLoop, OneTokenOverAndOverIsALoopOfPeriodOne) {
  EXPECT_EQ(find_loop(repeated({5}, {6}, 32)), (Loop{.start = 1, .period = 1}));
}

TEST(FindLoop, ShortRepetitionsAreOrdinaryText) {
  EXPECT_FALSE(find_loop(repeated({1}, {6}, 31)));
  EXPECT_FALSE(find_loop(repeated({1}, {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}, 3)));
  EXPECT_FALSE(find_loop(std::vector<std::int32_t>{}));
}

TEST(FindLoop, LinesThatDifferInOneTokenAreNoLoop) {
  std::vector<std::int32_t> output;
  for (int line = 0; line < 6; ++line) {
    output.push_back(100 + line);
    for (int token = 0; token < 40; ++token) output.push_back(token);
  }
  EXPECT_FALSE(find_loop(output));
}

TEST(FindLoop, TheLongestPeriodLookedForIsFound) {
  std::vector<std::int32_t> period;
  for (int token = 0; token < 48; ++token) period.push_back(token);
  EXPECT_EQ(find_loop(repeated({}, period, 4)), (Loop{.start = 0, .period = 48}));
  period.push_back(48);
  EXPECT_FALSE(find_loop(repeated({}, period, 4)));
}

TEST(PlanRetry, AParsedAnswerIsLeftAlone) {
  EXPECT_FALSE(plan_retry({.outcome = Outcome::parsed, .max_tokens = 100, .room_tokens = 1000}));
}

TEST(PlanRetry, ATruncatedAnswerGoesOnWithTwiceTheBudgetOnce) {
  EXPECT_EQ(plan_retry({.outcome = Outcome::truncated, .attempts = 1, .max_tokens = 100, .room_tokens = 1000}),
            (Retry{.kind = Retry::Kind::extend, .max_tokens = 200}));
  EXPECT_FALSE(plan_retry({.outcome = Outcome::truncated, .attempts = 2, .max_tokens = 200, .room_tokens = 1000}));
}

TEST(PlanRetry, TheContextLimitsTheRoom) {
  EXPECT_EQ(plan_retry({.outcome = Outcome::truncated, .max_tokens = 100, .room_tokens = 150})->max_tokens, 150);
  EXPECT_FALSE(plan_retry({.outcome = Outcome::truncated, .max_tokens = 100, .room_tokens = 100}));
}

TEST(PlanRetry, ALoopIsBrokenEvenWithoutMoreRoom) {
  EXPECT_EQ(plan_retry({.outcome = Outcome::looping, .max_tokens = 100, .room_tokens = 100})->kind,
            Retry::Kind::break_loop);
}

TEST(PlanRetry, AnUnparsedAnswerIsAskedForAgainUnderTheFormat) {
  EXPECT_EQ(
      plan_retry({.outcome = Outcome::unparsed, .max_tokens = 100, .room_tokens = 500, .constrained = false})->kind,
      Retry::Kind::constrain);
  EXPECT_FALSE(plan_retry({.outcome = Outcome::unparsed, .max_tokens = 100, .room_tokens = 500, .constrained = true}));
}

}  // namespace
}  // namespace escribano::engine
