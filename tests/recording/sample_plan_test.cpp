#include "recording/sample_plan.h"

#include <random>
#include <set>

#include <gmock/gmock.h>

namespace escribano::recording {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<PlannedInstant> plan(const Timeline& timeline, const std::vector<SceneCandidate>& candidates = {},
                                 const SamplingOptions& options = {}) {
  auto result = plan_samples(timeline, candidates, options);
  EXPECT_TRUE(result) << result.error().message;
  return result ? *result : std::vector<PlannedInstant>{};
}

TEST(SamplePlan, APictureThatStandsForNoTimeIsLookedAtOnce) {
  EXPECT_THAT(plan({0, 0}), ElementsAre(PlannedInstant{0, SampleReason::first}));
}

TEST(SamplePlan, OneFrameThatStaysIsLookedAtAgainEveryInterval) {
  EXPECT_THAT(plan({0, 20'001}),
              ElementsAre(PlannedInstant{0, SampleReason::first}, PlannedInstant{10'000, SampleReason::interval},
                          PlannedInstant{20'000, SampleReason::interval}));
}

TEST(SamplePlan, BetweenFirstAndLastLieTheMultiplesOfTheInterval) {
  EXPECT_THAT(plan({25'000, 25'200}),
              ElementsAre(PlannedInstant{0, SampleReason::first}, PlannedInstant{10'000, SampleReason::interval},
                          PlannedInstant{20'000, SampleReason::interval}, PlannedInstant{25'000, SampleReason::last}));
}

TEST(SamplePlan, AMultipleThatMeetsAnAnchorIsNotPlannedTwice) {
  EXPECT_THAT(plan({20'000, 20'200}),
              ElementsAre(PlannedInstant{0, SampleReason::first}, PlannedInstant{10'000, SampleReason::interval},
                          PlannedInstant{20'000, SampleReason::last}));
}

TEST(SamplePlan, TheGridBeginsAnewAtASceneChange) {
  EXPECT_THAT(plan({25'000, 25'200}, {{7'000, 0.9}}),
              ElementsAre(PlannedInstant{0, SampleReason::first}, PlannedInstant{7'000, SampleReason::scene},
                          PlannedInstant{17'000, SampleReason::interval}, PlannedInstant{25'000, SampleReason::last}));
}

TEST(SamplePlan, AChangeCountsFromTheThresholdOn) {
  EXPECT_THAT(plan({6'000, 6'200}, {{3'000, 0.399}}),
              ElementsAre(PlannedInstant{0, SampleReason::first}, PlannedInstant{6'000, SampleReason::last}));
  EXPECT_THAT(plan({6'000, 6'200}, {{3'000, 0.4}}),
              ElementsAre(PlannedInstant{0, SampleReason::first}, PlannedInstant{3'000, SampleReason::scene},
                          PlannedInstant{6'000, SampleReason::last}));
}

TEST(SamplePlan, ChangesTooNearToTheOneBeforeOrToTheBeginningAreLeftOut) {
  EXPECT_THAT(plan({9'000, 9'200}, {{1'999, 1}, {2'000, 1}, {3'999, 1}, {4'000, 1}}),
              ElementsAre(PlannedInstant{0, SampleReason::first}, PlannedInstant{2'000, SampleReason::scene},
                          PlannedInstant{4'000, SampleReason::scene}, PlannedInstant{9'000, SampleReason::last}));
}

TEST(SamplePlan, TheStretchInWhichTheLastFrameStaysIsCoveredToo) {
  EXPECT_THAT(
      plan({5'000, 26'000}),
      ElementsAre(PlannedInstant{0, SampleReason::first}, PlannedInstant{5'000, SampleReason::last},
                  PlannedInstant{15'000, SampleReason::interval}, PlannedInstant{25'000, SampleReason::interval}));
}

TEST(SamplePlan, MoreFramesThanAllowedAreRefusedBeforeTheyAreListed) {
  SamplingOptions options;
  options.interval_s = 0.1;
  const auto result = plan_samples({1'000'000'000'000, 1'000'000'000'000}, {}, options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::too_large);

  options.interval_s = 1;
  options.max_frames = 11;
  EXPECT_TRUE(plan_samples({10'000, 10'000}, {}, options));
  options.max_frames = 10;
  EXPECT_FALSE(plan_samples({10'000, 10'000}, {}, options));
}

struct RandomPlan {
  Timeline timeline;
  std::vector<SceneCandidate> candidates;
};

RandomPlan random_plan(std::mt19937& random) {
  const auto below = [&](int limit) { return static_cast<int>(random() % static_cast<unsigned>(limit)); };
  RandomPlan made;
  made.timeline.last_ms = below(200'000);
  made.timeline.end_ms = made.timeline.last_ms + below(2) * below(60'000);
  std::set<std::int64_t> times;
  for (int i = below(30); i > 0; --i) times.insert(below(static_cast<int>(made.timeline.last_ms) + 1));
  for (const std::int64_t at_ms : times) made.candidates.push_back({at_ms, below(1001) / 1000.0});
  return made;
}

TEST(SamplePlan, ALongerIntervalNeverGivesMoreFrames) {
  std::mt19937 random(1);
  for (int round = 0; round < 500; ++round) {
    const RandomPlan made = random_plan(random);
    std::size_t before = SIZE_MAX;
    SamplingOptions options;
    for (options.interval_s = 0.1; options.interval_s < 300;
         options.interval_s *= 1.0 + 0.001 * static_cast<double>(random() % 300)) {
      const std::size_t count = plan(made.timeline, made.candidates, options).size();
      ASSERT_LE(count, before) << "interval " << options.interval_s << ", last " << made.timeline.last_ms;
      before = count;
    }
  }
}

TEST(SamplePlan, NoTwoInstantsAreFurtherApartThanTheInterval) {
  std::mt19937 random(2);
  for (int round = 0; round < 500; ++round) {
    const RandomPlan made = random_plan(random);
    SamplingOptions options;
    options.interval_s = 0.1 + static_cast<double>(random() % 200'000) / 10'000;
    const std::vector<PlannedInstant> instants = plan(made.timeline, made.candidates, options);
    ASSERT_EQ(instants.front(), (PlannedInstant{0, SampleReason::first}));
    for (std::size_t i = 0; i < instants.size(); ++i) {
      const std::int64_t next = i + 1 < instants.size() ? instants[i + 1].at_ms : made.timeline.end_ms;
      ASSERT_GE(next, instants[i].at_ms);
      if (i + 1 < instants.size()) {
        ASSERT_GT(next, instants[i].at_ms);
      }
      ASSERT_LE(static_cast<double>(next - instants[i].at_ms), options.interval_s * 1000 + 1);
    }
  }
}

TEST(GapPlan, AGapThatIsNotLongerThanTheThresholdStaysOne) {
  EXPECT_THAT(plan_gap(10'000, 25'000, {}), IsEmpty());
  EXPECT_THAT(plan_gap(10'000, 25'001, {}), ElementsAre(13'000, 16'000, 19'000, 22'000, 25'000));
}

TEST(GapPlan, AGapIsNoneWhereTheIntervalIsLongerAnyway) {
  SamplingOptions options;
  options.interval_s = 60;
  EXPECT_THAT(plan_gap(0, 60'000, options), IsEmpty());
}

TEST(GapPlan, WhatIsKeptIsNeverMoreThanWhatWasLost) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    const auto from = static_cast<std::int64_t>(random() % 100'000);
    const std::int64_t to = from + 1 + static_cast<std::int64_t>(random() % 300'000);
    const std::size_t lost = 1 + random() % 30;
    std::int64_t kept_at = from;
    std::size_t kept = 0;
    for (const std::int64_t at : plan_gap(from, to, {})) {
      if (at - kept_at < keep_spacing_ms(from, to, lost)) continue;
      kept_at = at;
      ++kept;
    }
    ASSERT_LE(kept, lost) << from << " to " << to;
  }
}

}  // namespace
}  // namespace escribano::recording
