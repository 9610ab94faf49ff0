#include "pipeline/segments.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/activity.h"
#include "pipeline/observations.h"

namespace escribano {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void expect_cover(const std::vector<Segment>& segments, double duration_s, double min_s) {
  ASSERT_FALSE(segments.empty());
  EXPECT_EQ(segments.front().start_s, 0);
  EXPECT_EQ(segments.back().end_s, duration_s);
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const Segment& s = segments[i];
    ASSERT_GT(s.end_s, s.start_s);
    if (i > 0) {
      ASSERT_EQ(s.start_s, segments[i - 1].end_s);
    }
    if (segments.size() > 1) {
      ASSERT_GE(s.end_s - s.start_s, min_s);
    }
    ASSERT_EQ(std::count(known_activities().begin(), known_activities().end(), s.activity), 1);
  }
}

Observation coding(double at) {
  return described(at, "coding", {"VS Code"}, {"payments", "backend"},
                   "VS Code has invoice.py of the payments-api project open.");
}
Observation chatting(double at) {
  return described(at, "messaging", {"Slack"}, {"release"}, "Slack shows #release in the payments-api workspace.");
}
Observation reading(double at) {
  return described(at, "reading", {"Chrome"}, {"guides"}, "Chrome shows the Rate limiting guide.");
}

template <class... Make>
std::vector<Observation> in_turn(double interval_s,
                                 std::initializer_list<std::pair<int, Observation (*)(double)>> runs) {
  std::vector<Observation> all;
  for (const auto& [count, make] : runs) {
    for (int i = 0; i < count; ++i) {
      all.push_back(make(static_cast<double>(all.size()) * interval_s));
      all.back().position = all.size() - 1;
    }
  }
  return all;
}

TEST(Segments, OfTheSampleAreItsSpans) {
  const std::vector<Segment> segments = sample_segments();
  expect_cover(segments, sample_duration_s(), 5);
  const std::vector<TruthSpan> truth = sample_truth();
  for (const TruthSpan& span : truth) {
    const auto held = std::find_if(segments.begin(), segments.end(), [&](const Segment& s) {
      return s.start_s <= span.start_s + 2 && s.end_s >= span.end_s - 2 && s.activity == span.activity &&
             s.apps.front() == span.app && s.description.find(span.project) != std::string::npos;
    });
    EXPECT_NE(held, segments.end()) << span.start_s << " " << span.seen.description;
  }
  // Two of its spans, one moving and one still, show the same.
  EXPECT_EQ(segments.size(), truth.size() - 1);
  for (const Segment& segment : segments) {
    EXPECT_TRUE(std::any_of(truth.begin(), truth.end(), [&](const TruthSpan& span) {
      const double late_s = segment.start_s - span.start_s;
      return late_s >= 0 && late_s < 2;
    })) << segment.start_s;
  }
  EXPECT_THAT(segments.front().apps, ElementsAre("TablePlus", "Figma"));
  EXPECT_THAT(segments.front().topics, ElementsAre("weather", "database", "authentication"));
}

TEST(Segments, BeginWhereTheWorkIsFirstSeen) {
  const auto all = in_turn(10, {{4, coding}, {5, chatting}, {3, reading}});
  const auto segments = segment(all, 125, {.min_segment_s = 30});
  ASSERT_EQ(segments.size(), 3u);
  EXPECT_EQ(segments[1].start_s, 40);
  EXPECT_EQ(segments[2].start_s, 90);
  EXPECT_EQ(segments[2].end_s, 125);
  EXPECT_EQ(segments[1].activity, "messaging");
}

TEST(Segments, AWrongFrameInsideLongWorkVanishes) {
  const auto all = in_turn(10, {{10, coding}, {1, chatting}, {10, coding}});
  const auto segments = segment(all, 210, {});
  ASSERT_EQ(segments.size(), 1u);
  EXPECT_EQ(segments[0].activity, "coding");
  EXPECT_THAT(segments[0].apps, ElementsAre("VS Code"));
  EXPECT_THAT(segments[0].topics, ElementsAre("payments", "backend"));
  EXPECT_THAT(segments[0].description, HasSubstr("invoice.py"));
}

TEST(Segments, AShortStretchJoinsTheNeighbourItResembles) {
  auto all = in_turn(10, {{5, coding}, {1, chatting}, {5, reading}});
  all[5].apps = {"Chrome"};
  EXPECT_EQ(segment(all, 110, {})[1].start_s, 50);
  all[5].apps = {"VS Code"};
  EXPECT_EQ(segment(all, 110, {})[1].start_s, 60);
}

TEST(Segments, ShortStretchesThatResembleEachOtherMakeASegment) {
  auto all = in_turn(10, {{6, coding}, {2, chatting}, {2, chatting}, {6, reading}});
  all[8].apps = all[9].apps = {"Teams"};
  const auto segments = segment(all, 160, {});
  ASSERT_EQ(segments.size(), 3u);
  EXPECT_EQ(segments[1].activity, "messaging");
  EXPECT_EQ(segments[1].start_s, 60);
  EXPECT_EQ(segments[1].end_s, 100);
  EXPECT_THAT(segments[1].apps, ElementsAre("Slack", "Teams"));
}

Observation on_users(double at) {
  return described(at, "querying", {"TablePlus"}, {"weather", "database", "authentication"},
                   "TablePlus shows a query on the users table of the zephyr-weather database and its rows.");
}
Observation on_audit_log(double at) {
  return described(at, "querying", {"TablePlus"}, {"search", "database", "legal"},
                   "TablePlus shows a query on the audit_log table of the atlas-search database and its rows.");
}
Observation on_events(double at) {
  return described(at, "querying", {"TablePlus"}, {"search", "database", "monitoring"},
                   "TablePlus shows a query on the events table of the atlas-search database and its rows.");
}

TEST(Segments, AnotherProjectInTheSameAppIsOtherWork) {
  EXPECT_EQ(segment(in_turn(10, {{5, on_users}, {5, on_audit_log}}), 100, {}).size(), 2u);
  EXPECT_EQ(segment(in_turn(10, {{5, on_events}, {5, on_audit_log}}), 100, {}).size(), 1u);
}

TEST(Segments, TopicsThatStayMakeOtherWorkAndPassingOnesDoNot) {
  std::vector<Observation> all;
  for (int i = 0; i < 40; ++i) {
    const char* steady = i < 20 ? "tax return" : "holiday photos";
    all.push_back(described(i * 10, "reading", {"Chrome"}, {steady}, "A page is open in Chrome."));
  }
  EXPECT_EQ(segment(all, 400, {}).size(), 2u);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].topics = {"word" + std::to_string(i)};
  EXPECT_EQ(segment(all, 400, {}).size(), 1u);
  EXPECT_EQ(segment(all, 400, {})[0].topics.size(), 1u);
}

TEST(Segments, SpellingsOfAnAppAreOneApp) {
  auto all = in_turn(10, {{8, coding}});
  for (std::size_t i = 0; i < all.size(); i += 2) all[i].apps = {"Visual Studio Code"};
  const auto segments = segment(all, 80, {});
  ASSERT_EQ(segments.size(), 1u);
  EXPECT_THAT(segments[0].apps, ElementsAre("VS Code"));
}

TEST(Segments, FramesWithoutTextBelongToTheOneBefore) {
  auto all = in_turn(10, {{4, coding}, {4, chatting}});
  for (const std::size_t i : {0u, 1u, 5u, 6u}) all[i] = Observation{.position = i, .timestamp_s = all[i].timestamp_s};
  all[5].status = ObservationStatus::failed;
  all[6].status = ObservationStatus::unparsed;
  const auto segments = segment(all, 80, {});
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].activity, "coding");
  EXPECT_EQ(segments[1].start_s, 40);
}

TEST(Segments, UnchangedFramesTellWhatTheirSourceTells) {
  auto all = in_turn(10, {{4, coding}, {4, chatting}});
  all[7] = all[0];
  all[7].timestamp_s = 70;
  all[7].status = ObservationStatus::unchanged;
  all[7].source_timestamp_s = 0;
  const auto segments = segment(all, 110, {});
  ASSERT_EQ(segments.size(), 3u);
  EXPECT_EQ(segments[2].activity, "coding");
}

TEST(Segments, WithoutAnyTextThereIsOneCalledOther) {
  std::vector<Observation> all(5);
  const auto segments = segment(all, 60, {});
  ASSERT_EQ(segments.size(), 1u);
  EXPECT_EQ(segments[0], (Segment{.start_s = 0, .end_s = 60, .activity = "other"}));
  EXPECT_EQ(segment({}, 60, {}), segments);
}

TEST(Segments, WithoutADurationThereAreNone) {
  const auto all = in_turn(10, {{4, coding}});
  for (const double none : {0.0, -1.0, kNan, std::numeric_limits<double>::infinity()}) {
    EXPECT_TRUE(segment(all, none, {}).empty()) << none;
  }
}

TEST(Segments, StrangeTimestampsHarmNothing) {
  auto all = in_turn(10, {{4, coding}, {4, chatting}});
  all.push_back(reading(kNan));
  all.push_back(reading(1e300));
  all.push_back(reading(-50));
  all.push_back(reading(std::numeric_limits<double>::infinity()));
  const auto segments = segment(all, 80, {});
  EXPECT_EQ(segments, segment(in_turn(10, {{4, coding}, {4, chatting}}), 80, {}));
  // Only frames beyond the end: the first also stands for the time before it.
  const std::vector<Observation> late = {reading(100), coding(200)};
  ASSERT_EQ(segment(late, 80, {}).size(), 1u);
  EXPECT_EQ(segment(late, 80, {})[0].activity, "reading");
}

TEST(Segments, ALoneShortOneStays) {
  const auto all = in_turn(1, {{2, coding}, {2, chatting}});
  const auto segments = segment(all, 4, {});
  ASSERT_EQ(segments.size(), 1u);
  expect_cover(segments, 4, 0);
}

TEST(Segments, MinimaThatMakeNoSenseAreNone) {
  const auto all = in_turn(10, {{2, coding}, {2, chatting}});
  EXPECT_EQ(segment(all, 40, {.min_segment_s = -1}).size(), 2u);
  EXPECT_EQ(segment(all, 40, {.min_segment_s = kNan}).size(), 2u);
  EXPECT_EQ(segment(all, 40, {.min_segment_s = std::numeric_limits<double>::infinity()}).size(), 1u);
}

std::vector<Observation> random_observations(Dice& dice, int count, double duration_s) {
  const char* kActivities[] = {"coding", "debugging", "browsing", "Code review", "", "nonsense", "meeting"};
  const char* kApps[] = {"VS Code", "Visual Studio Code", "Chrome", "Slack", "Zoom", "", "Terminal"};
  const char* kTopics[] = {"a", "b", "c", "d", "API design", "api-designs", ""};
  const char* kProjects[] = {"atlas-search", "delta-sync", "payments-api"};
  std::vector<Observation> all;
  for (int i = 0; i < count; ++i) {
    Observation o = described(
        0, dice.pick(kActivities), {dice.pick(kApps), dice.pick(kApps)}, {dice.pick(kTopics), dice.pick(kTopics)},
        dice.below(3) == 0 ? dice.text(30) : std::string("Of the ") + dice.pick(kProjects) + " project.");
    o.timestamp_s = std::floor(duration_s * dice.below(1300) / 100 - duration_s) / 10;
    o.status = static_cast<ObservationStatus>(dice.below(5));
    o.position = static_cast<std::size_t>(i);
    // Longer stretches of the same, as recordings have them.
    if (i > 0 && dice.below(3) > 0) {
      const double timestamp_s = o.timestamp_s;
      o = all.back();
      o.timestamp_s = dice.below(8) == 0 ? o.timestamp_s : timestamp_s;
      o.position = static_cast<std::size_t>(i);
    }
    all.push_back(o);
  }
  return all;
}

TEST(Segments, OfAnythingCoverTheRecordingWithoutGapsInAnyOrder) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    Dice dice(seed);
    const double duration_s = 1 + dice.below(2000) / 3.0;
    const double min_s = dice.below(4) == 0 ? 0 : dice.below(600) / 7.0;
    auto all = random_observations(dice, dice.below(120), duration_s);
    const auto segments = segment(all, duration_s, {.min_segment_s = min_s});
    expect_cover(segments, duration_s, min_s);
    for (std::size_t i = all.size(); i > 1; --i) {
      std::swap(all[i - 1], all[static_cast<std::size_t>(dice.below(static_cast<int>(i)))]);
    }
    ASSERT_EQ(segment(all, duration_s, {.min_segment_s = min_s}), segments) << seed;
    for (const Segment& s : segments) {
      // Boundaries are times of frames.
      const bool seen = s.start_s == 0 || std::any_of(all.begin(), all.end(),
                                                      [&](const Observation& o) { return o.timestamp_s == s.start_s; });
      ASSERT_TRUE(seen) << seed << " " << s.start_s;
    }
    if (HasFatalFailure()) FAIL() << seed;
  }
}

TEST(Segments, OfConstantWorkAreOneWhateverTheMinimum) {
  for (const double min_s : {0.0, 5.0, 30.0, 1000.0}) {
    const auto segments = segment(in_turn(3, {{200, coding}}), 600, {.min_segment_s = min_s});
    ASSERT_EQ(segments.size(), 1u) << min_s;
    EXPECT_EQ(segments[0].activity, "coding");
  }
}

TEST(Segments, OfARecordingThatBeginsLaterMoveAlong) {
  const auto early = in_turn(10, {{5, coding}, {5, chatting}, {5, reading}});
  auto late = early;
  for (Observation& o : late) o.timestamp_s += 1000;
  const auto before = segment(early, 150, {});
  const auto after = segment(late, 1150, {});
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 1; i < before.size(); ++i) EXPECT_EQ(after[i].start_s, before[i].start_s + 1000);
}

TEST(Segments, TheSegmentsOfSegmentsAreTheSame) {
  const auto segments = sample_segments();
  std::vector<Observation> again;
  for (const Segment& s : segments) {
    for (double at = s.start_s; at < s.end_s; at += 2)
      again.push_back(described(at, s.activity, s.apps, s.topics, s.description));
  }
  EXPECT_EQ(segment(again, sample_duration_s(), {.min_segment_s = 5}), segments);
}

// A quadratic step would take minutes here.
TEST(Segments, OfAHundredThousandFramesAreFast) {
  Dice dice(5);
  std::vector<Observation> all;
  for (int i = 0; i < 100'000; ++i) {
    all.push_back(dice.below(3) == 0 ? coding(i) : dice.below(2) == 0 ? chatting(i) : reading(i));
    all.back().topics = {"topic " + std::to_string(i), "topic " + std::to_string(dice.below(1000))};
    all.back().description += std::to_string(i);
  }
  for (const double min_s : {0.0, 30.0, 1e9}) {
    const auto begin = std::chrono::steady_clock::now();
    const auto segments = segment(all, 100'000, {.min_segment_s = min_s});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    expect_cover(segments, 100'000, min_s);
    EXPECT_LT(took.count(), 20) << min_s;
    RecordProperty("seconds_min_" + std::to_string(min_s), std::to_string(took.count()));
  }
}

TEST(SegmentKeys, NameWhatHasAnEffect) {
  EXPECT_EQ((SegmentOptions{.min_segment_s = 5}).key(), (SegmentOptions{.min_segment_s = 5}).key());
  EXPECT_NE((SegmentOptions{.min_segment_s = 5}).key(), (SegmentOptions{.min_segment_s = 6}).key());
}

}  // namespace
}  // namespace escribano
