#include <limits>

#include "store/store_fixture.h"

namespace escribano {
namespace {

class Results : public StoreTest {
 protected:
  void SetUp() override {
    add_sampled(id_, {sampled_frame(0, "a")});
    succeed(store().save_observations(id_, std::vector{described(0, 0, "alpha")}));
    succeed(store().finish_description(id_, kMorning));
  }
  const std::vector<Segment> segments_ = {{0, 1.0 / 3, "coding", {"VS Code", "Terminal"}, {"build"}, "Editing \"x\""},
                                          {1.0 / 3, 60.5, "other", {}, {}, std::string("\0\xff", 2)}};
};

TEST_F(Results, SegmentsComeBackInOrder) {
  succeed(store().save_segments(id_, segments_, "min 30 s", kNoon));
  EXPECT_EQ(value_of(reopened().segments(id_)), segments_);
  const StoredRecording stored = value_of(store().recording(id_));
  EXPECT_EQ(stored.state, RecordingState::segmented);
  EXPECT_EQ(stored.keys.segments, "min 30 s");
  EXPECT_EQ(stored.segments, 2U);
  EXPECT_EQ(stored.updated_at, kNoon);
}

TEST_F(Results, NewSegmentsReplaceTheOldAndTheArtefacts) {
  succeed(store().save_segments(id_, segments_, "one", kNoon));
  succeed(store().save_artefacts(id_, std::vector{Artefact{ArtefactFormat::card, "text", "llm", {}}}, kNoon));
  const std::vector fewer = {segments_[1]};
  succeed(store().save_segments(id_, fewer, "two", kEvening));
  EXPECT_EQ(value_of(store().segments(id_)), fewer);
  EXPECT_TRUE(value_of(store().artefacts(id_)).empty());
}

TEST_F(Results, DescribingAgainKeepsSegmentsAndArtefacts) {
  succeed(store().save_segments(id_, segments_, "one", kNoon));
  succeed(store().save_artefacts(id_, std::vector{Artefact{ArtefactFormat::card, "text", "llm", {}}}, kNoon));
  succeed(store().finish_description(id_, kEvening));
  EXPECT_EQ(value_of(store().segments(id_)), segments_);
  EXPECT_EQ(value_of(store().artefacts(id_)).size(), 1U);
  const StoredRecording stored = value_of(store().recording(id_));
  EXPECT_EQ(stored.state, RecordingState::described);
  EXPECT_EQ(stored.keys.segments, "one");
}

TEST_F(Results, SegmentsWithoutALengthAreRefused) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Segment& bad : {Segment{1, 1, "coding", {}, {}, ""}, Segment{2, 1, "coding", {}, {}, ""},
                             Segment{nan, 1, "coding", {}, {}, ""}, Segment{0, nan, "coding", {}, {}, ""}}) {
    EXPECT_EQ(store().save_segments(id_, std::vector{segments_[0], bad}, "k", kNoon).error().code,
              Errc::invalid_argument);
  }
  EXPECT_TRUE(value_of(store().segments(id_)).empty());
}

TEST_F(Results, AnArtefactReplacesOnlyThatOfItsFormat) {
  const Artefact card{ArtefactFormat::card, "# Card\n", "llm", {"left out: Mail", "removed \"x\""}, "of=1"};
  const Artefact narrative{ArtefactFormat::narrative, "Long ago\n", "", {}};
  succeed(store().save_artefacts(id_, std::vector{narrative, card}, kNoon));
  EXPECT_EQ(value_of(reopened().artefacts(id_)), (std::vector{card, narrative}));
  const Artefact other{ArtefactFormat::card, "# Other\n", "", {}, "of=2"};
  succeed(store().save_artefacts(id_, std::vector{other}, kEvening));
  EXPECT_EQ(value_of(store().artefacts(id_)), (std::vector{other, narrative}));
  const StoredRecording stored = value_of(store().recording(id_));
  EXPECT_EQ(stored.state, RecordingState::summarised);
  EXPECT_EQ(stored.updated_at, kEvening);
}

TEST_F(Results, RunsAreListedWithTheirStepsTheLatestFirst) {
  const std::int64_t first = value_of(store().begin_run(id_, "escribano 0.1.0", kMorning));
  const std::int64_t second = value_of(store().begin_run(id_, "escribano 0.2.0", kNoon));
  EXPECT_NE(first, second);
  succeed(store().add_step(first, {"sample", "done", "", 10, 1.5, 0, 0}));
  succeed(store().add_step(first, {"describe", "failed", "the bridge went away", 3, 2.25, 132, 700.5}));
  const auto runs = value_of(reopened().runs(id_));
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[0].id, second);
  EXPECT_EQ(runs[0].recording_id, id_);
  EXPECT_EQ(runs[0].started_at, kNoon);
  EXPECT_EQ(runs[0].program, "escribano 0.2.0");
  EXPECT_TRUE(runs[0].steps.empty());
  ASSERT_EQ(runs[1].steps.size(), 2U);
  EXPECT_EQ(runs[1].steps[0].step, "sample");
  EXPECT_EQ(runs[1].steps[0].items, 10U);
  const StepStats& describe = runs[1].steps[1];
  EXPECT_EQ(describe.outcome, "failed");
  EXPECT_EQ(describe.detail, "the bridge went away");
  EXPECT_EQ(describe.seconds, 2.25);
  EXPECT_EQ(describe.generation_tokens, 132);
  EXPECT_EQ(describe.model_ms, 700.5);
}

TEST_F(Results, AStepThatTookNoNumberIsRefused) {
  const std::int64_t run = value_of(store().begin_run(id_, "escribano 0.1.0", kMorning));
  EXPECT_EQ(
      store().add_step(run, {"sample", "done", "", 1, std::numeric_limits<double>::infinity(), 0, 0}).error().code,
      Errc::invalid_argument);
  EXPECT_EQ(store().add_step(run, {"sample", "done", "", 1, 1, -1, 0}).error().code, Errc::invalid_argument);
  EXPECT_EQ(store().add_step(run + 1, {"sample", "done", "", 1, 1, 1, 0}).error().code, Errc::not_found);
}

}  // namespace
}  // namespace escribano
