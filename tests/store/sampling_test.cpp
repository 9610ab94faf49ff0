#include <cmath>
#include <limits>

#include "store/store_fixture.h"

namespace escribano {
namespace {

using testing::ElementsAre;

class SamplingStored : public StoreTest {
 protected:
  std::vector<std::string> descriptions() {
    std::vector<std::string> texts;
    for (const Observation& observation : value_of(store().observations(id_))) {
      texts.push_back(std::string(observation_status_name(observation.status)) + ":" + observation.description);
    }
    return texts;
  }
  std::size_t hits(const std::string& word) { return value_of(store().search(word, {})).size(); }
};

TEST_F(SamplingStored, EveryFrameIsPendingOrUnchangedAtFirst) {
  add_sampled(id_, {sampled_frame(0.1, "a"), unchanged_frame(0.2, "a", 0), sampled_frame(1.0 / 3, "b")});
  const auto observations = value_of(reopened().observations(id_));
  ASSERT_EQ(observations.size(), 3U);
  Observation pending;
  pending.timestamp_s = 0.1;
  EXPECT_EQ(observations[0], pending);
  Observation unchanged;
  unchanged.position = 1;
  unchanged.timestamp_s = 0.2;
  unchanged.status = ObservationStatus::unchanged;
  unchanged.source_timestamp_s = 0.1;
  EXPECT_EQ(observations[1], unchanged);
  pending.position = 2;
  pending.timestamp_s = 1.0 / 3;
  EXPECT_EQ(observations[2], pending);
}

TEST_F(SamplingStored, StateKeyWarningsAndCountsAreThoseOfTheSample) {
  succeed(store().add_recording(recording_info(id_), kMorning));
  const std::vector<std::string> warnings = {"damaged at 12 s", "cut \"off\"", std::string("bytes \xff\0\n", 9)};
  Sampling sampling{{sampled_frame(0, "a"), unchanged_frame(1, "a", 0), sampled_frame(2, "b")}, warnings};
  succeed(store().save_sampling(id_, sampling, "every 10 s", kNoon));
  const StoredRecording stored = value_of(reopened().recording(id_));
  EXPECT_EQ(stored.state, RecordingState::sampled);
  EXPECT_EQ(stored.keys.sampling, "every 10 s");
  EXPECT_EQ(stored.warnings, warnings);
  EXPECT_EQ(stored.updated_at, kNoon);
  EXPECT_EQ(stored.frames, 3U);
  EXPECT_EQ(stored.unchanged, 1U);
  EXPECT_EQ(stored.described, 0U);
  EXPECT_EQ(stored.failed, 0U);
}

TEST_F(SamplingStored, TimesComeBackBitForBit) {
  std::vector<SampledFrame> frames;
  std::vector<double> times = {5e-324,
                               1e-300,
                               0.1,
                               0.1 + std::numeric_limits<double>::epsilon(),
                               1.0 / 3,
                               7,
                               std::nextafter(7.0, 8.0),
                               12'345.678'901'234'567,
                               9'007'199'254'740'993.0,
                               1e300};
  for (const double time : times) frames.push_back(sampled_frame(time, "a"));
  add_sampled(id_, frames);
  std::vector<double> read;
  for (const Observation& observation : value_of(reopened().observations(id_))) read.push_back(observation.timestamp_s);
  EXPECT_EQ(read, times);
}

TEST_F(SamplingStored, ThumbnailsComeBackByteForByteInOrderOfTime) {
  add_sampled(id_, {sampled_frame(0, "a"), unchanged_frame(1, "a", 0), sampled_frame(2, "b")});
  const auto thumbnails = value_of(reopened().thumbnails(id_));
  ASSERT_EQ(thumbnails.size(), 2U);
  EXPECT_EQ(thumbnails[0].timestamp_s, 0);
  EXPECT_EQ(thumbnails[0].jpeg, sampled_frame(0, "a").thumbnail);
  EXPECT_EQ(thumbnails[1].timestamp_s, 2);
  EXPECT_EQ(thumbnails[1].jpeg, sampled_frame(2, "b").thumbnail);
}

TEST_F(SamplingStored, FramesKeepEveryValue) {
  SampledFrame frame = sampled_frame(1.5, "0123456789abcdef0123456789abcdef");
  frame.reason = SampleReason::scene;
  frame.scene_score = 0.75;
  frame.change = 3.5;
  add_sampled(id_, {sampled_frame(0, "a"), frame});
  close();
  EXPECT_EQ(
      RawDatabase(path()).run("SELECT concat_ws FROM (SELECT reason || ' ' || scene_score || ' ' || content_hash || "
                              "' ' || perceptual_hash || ' ' || change AS concat_ws FROM frames WHERE position = 1)"),
      "scene 0.75 0123456789abcdef0123456789abcdef " + std::to_string(static_cast<std::int64_t>(0xfedcba9876543210)) +
          " 3.5");
}

TEST_F(SamplingStored, ObservationsStayWhereTimeAndPixelsAreTheSame) {
  add_sampled(id_, {sampled_frame(0, "a"), sampled_frame(10, "b"), sampled_frame(20, "c"), sampled_frame(30, "d")});
  succeed(store().save_observations(id_, std::vector{described(0, 0, "alpha"), described(1, 10, "beta"),
                                                     described(2, 20, "gamma"), failed(3, 30, 2)}));
  // A frame more at 5 s, other pixels at 10 s, nothing at 20 s any more.
  succeed(store().save_sampling(
      id_, {{sampled_frame(0, "a"), sampled_frame(5, "c"), sampled_frame(10, "x"), sampled_frame(30, "d")}, {}},
      "every 5 s", kNoon));
  EXPECT_THAT(descriptions(), ElementsAre("described:alpha", "pending:", "pending:", "failed:"));
  const auto observations = value_of(store().observations(id_));
  EXPECT_EQ(observations[0], described(0, 0, "alpha"));
  EXPECT_EQ(observations[3], failed(3, 30, 2));
  EXPECT_EQ(hits("alpha"), 1U);
  EXPECT_EQ(hits("beta"), 0U);
  EXPECT_EQ(hits("gamma"), 0U);
  EXPECT_EQ(value_of(store().thumbnails(id_)).size(), 4U);
  EXPECT_EQ(integrity(), "ok");
}

TEST_F(SamplingStored, AFrameThatBecomesUnchangedLosesItsObservationAndMayGetItBackOnlyFromAModel) {
  add_sampled(id_, {sampled_frame(0, "a"), sampled_frame(10, "b")});
  succeed(store().save_observations(id_, std::vector{described(0, 0, "alpha"), described(1, 10, "beta")}));
  succeed(store().save_sampling(id_, {{sampled_frame(0, "a"), unchanged_frame(10, "b", 0)}, {}}, "similar", kNoon));
  EXPECT_THAT(descriptions(), ElementsAre("described:alpha", "unchanged:alpha"));
  EXPECT_EQ(hits("beta"), 0U);
  EXPECT_EQ(value_of(store().thumbnails(id_)).size(), 1U);
  succeed(store().save_sampling(id_, {{sampled_frame(0, "a"), sampled_frame(10, "b")}, {}}, "exact", kNoon));
  EXPECT_THAT(descriptions(), ElementsAre("described:alpha", "pending:"));
  EXPECT_EQ(integrity(), "ok");
}

TEST_F(SamplingStored, PositionsMayMoveInAnyDirection) {
  std::vector<SampledFrame> even;
  std::vector<SampledFrame> all;
  for (int i = 0; i < 50; ++i) {
    if (i % 2 == 0) even.push_back(sampled_frame(i, "h" + std::to_string(i)));
    all.push_back(sampled_frame(i, "h" + std::to_string(i)));
  }
  add_sampled(id_, even);
  std::vector<Observation> first;
  for (std::size_t i = 0; i < even.size(); ++i)
    first.push_back(described(i, even[i].timestamp_s, even[i].content_hash));
  succeed(store().save_observations(id_, first));
  for (int round = 0; round < 2; ++round) {
    succeed(store().save_sampling(id_, {all, {}}, "all", kNoon));
    for (const Observation& observation : value_of(store().observations(id_))) {
      EXPECT_EQ(observation.description, observation.position % 2 == 0 ? all[observation.position].content_hash : "");
    }
    succeed(store().save_sampling(id_, {even, {}}, "even", kNoon));
    EXPECT_EQ(value_of(store().observations(id_)), first);
  }
  EXPECT_EQ(integrity(), "ok");
}

TEST_F(SamplingStored, TheSameSampleAgainKeepsAllObservationsButNoSegments) {
  const std::vector<SampledFrame> frames = {sampled_frame(0, "a"), unchanged_frame(1, "a", 0)};
  add_sampled(id_, frames);
  succeed(store().restart_description(id_, "model", kMorning));
  succeed(store().save_observations(id_, std::vector{described(0, 0, "alpha")}));
  succeed(store().finish_description(id_, kMorning));
  succeed(store().save_segments(id_, std::vector{Segment{0, 2, "coding", {}, {}, "x"}}, "segments", kMorning));
  succeed(store().save_artefacts(id_, std::vector{Artefact{ArtefactFormat::card, "text", "", {}}}, kMorning));
  succeed(store().save_sampling(id_, {frames, {}}, "every 10 s", kNoon));
  EXPECT_THAT(descriptions(), ElementsAre("described:alpha", "unchanged:alpha"));
  EXPECT_TRUE(value_of(store().segments(id_)).empty());
  EXPECT_TRUE(value_of(store().artefacts(id_)).empty());
  const StoredRecording stored = value_of(store().recording(id_));
  EXPECT_EQ(stored.state, RecordingState::sampled);
  EXPECT_EQ(stored.keys, (StepKeys{"every 10 s", "model", ""}));
}

TEST_F(SamplingStored, OtherRecordingsAreLeftAlone) {
  const std::string other = id_of("beef");
  for (const std::string& id : {id_, other}) {
    add_sampled(id, {sampled_frame(0, "a"), sampled_frame(1, "b")});
    succeed(store().save_observations(id, std::vector{described(0, 0, "alpha"), described(1, 1, "beta")}));
  }
  succeed(store().save_sampling(id_, {{sampled_frame(3, "z")}, {}}, "other", kNoon));
  succeed(store().restart_description(id_, "model", kNoon));
  succeed(store().reset_recording(id_, kNoon));
  EXPECT_EQ(value_of(store().observations(other)), (std::vector{described(0, 0, "alpha"), described(1, 1, "beta")}));
  EXPECT_EQ(hits("beta"), 1U);
}

TEST_F(SamplingStored, ASampleThatIsNoneIsRefusedAndChangesNothing) {
  add_sampled(id_, {sampled_frame(0, "a"), sampled_frame(1, "b")});
  succeed(store().save_observations(id_, std::vector{described(0, 0, "alpha")}));
  const auto before = value_of(store().observations(id_));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  SampledFrame bad_score = sampled_frame(1, "b");
  bad_score.scene_score = nan;
  SampledFrame bad_change = sampled_frame(1, "b");
  bad_change.change = infinity;
  const std::vector<std::vector<SampledFrame>> bad = {
      {},
      {sampled_frame(nan, "a")},
      {sampled_frame(infinity, "a")},
      {sampled_frame(1, "a"), sampled_frame(1, "b")},
      {sampled_frame(1, "a"), sampled_frame(0, "b")},
      {bad_score},
      {bad_change},
      {unchanged_frame(0, "a", 0)},
      {sampled_frame(0, "a"), unchanged_frame(1, "a", 1)},
      {sampled_frame(0, "a"), unchanged_frame(1, "a", 5)},
      {sampled_frame(0, "a"), unchanged_frame(1, "a", 0), unchanged_frame(2, "a", 1)}};
  for (std::size_t i = 0; i < bad.size(); ++i) {
    const Status saved = store().save_sampling(id_, {bad[i], {}}, "k", kNoon);
    ASSERT_FALSE(saved) << i;
    EXPECT_EQ(saved.error().code, Errc::invalid_argument) << i;
  }
  EXPECT_EQ(value_of(store().observations(id_)), before);
  EXPECT_EQ(value_of(store().recording(id_)).keys.sampling, "every 10 s");
}

}  // namespace
}  // namespace escribano
