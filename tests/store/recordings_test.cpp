#include "store/store_fixture.h"

namespace escribano {
namespace {

using testing::HasSubstr;

class Recordings : public StoreTest {};

TEST_F(Recordings, ComeBackAsTheyWereAdded) {
  const RecordingInfo info = recording_info(id_);
  succeed(store().add_recording(info, kMorning));
  const StoredRecording stored = value_of(reopened().recording(id_));
  EXPECT_EQ(stored.info, info);
  EXPECT_EQ(stored.state, RecordingState::known);
  EXPECT_EQ(stored.keys, StepKeys());
  EXPECT_EQ(stored.added_at, kMorning);
  EXPECT_EQ(stored.updated_at, kMorning);
  EXPECT_EQ(stored.frames, 0U);
}

TEST_F(Recordings, APathKeepsEveryByte) {
  RecordingInfo info = recording_info(id_);
  info.path = std::string("/rec \"ordings\"/'\xff\xfe\n%_;--.mp4");
  succeed(store().add_recording(info, kMorning));
  EXPECT_EQ(value_of(reopened().recording(id_)).info.path, info.path);
}

TEST_F(Recordings, AddedAgainOnlyTheirPlaceChanges) {
  add_sampled(id_, {sampled_frame(0, "a")});
  RecordingInfo moved = recording_info(id_);
  moved.path = "/elsewhere/evening.mp4";
  moved.captured_at = "";
  succeed(store().add_recording(moved, kEvening));
  const StoredRecording stored = value_of(store().recording(id_));
  EXPECT_EQ(stored.info, moved);
  EXPECT_EQ(stored.state, RecordingState::sampled);
  EXPECT_EQ(stored.added_at, kMorning);
  EXPECT_EQ(stored.updated_at, kMorning);
  EXPECT_EQ(stored.frames, 1U);
}

TEST_F(Recordings, AreFoundByTheBeginningOfTheirId) {
  succeed(store().add_recording(recording_info(id_of("abcd1")), kMorning));
  succeed(store().add_recording(recording_info(id_of("abcd2")), kMorning));
  succeed(store().add_recording(recording_info(id_of("ffff")), kMorning));
  EXPECT_EQ(value_of(store().recording("abcd1")).info.id, id_of("abcd1"));
  EXPECT_EQ(value_of(store().recording("ABCD2")).info.id, id_of("abcd2"));
  EXPECT_EQ(value_of(store().recording("ffff")).info.id, id_of("ffff"));

  const auto ambiguous = store().recording("abcd");
  ASSERT_FALSE(ambiguous);
  EXPECT_EQ(ambiguous.error().code, Errc::invalid_argument);
  EXPECT_THAT(ambiguous.error().message, HasSubstr(id_of("abcd1") + ", " + id_of("abcd2")));
}

TEST_F(Recordings, NothingIsFoundByShortOrStrangeTexts) {
  succeed(store().add_recording(recording_info(id_), kMorning));
  for (const std::string text : {"", "a1b", "a1b_", "a1%%", "%%%%", "____", "a1b3", "' OR 1 --", "\xff\xff\xff\xff"}) {
    const auto found = store().recording(text);
    ASSERT_FALSE(found) << text;
    EXPECT_EQ(found.error().code, Errc::not_found) << text;
  }
  EXPECT_FALSE(store().recording(id_ + "0"));
}

TEST_F(Recordings, AreListedWithTheLastChangedFirst) {
  succeed(store().add_recording(recording_info(id_of("1111")), kMorning));
  succeed(store().add_recording(recording_info(id_of("2222")), kNoon));
  succeed(store().add_recording(recording_info(id_of("3333")), kNoon));
  succeed(store().save_sampling(id_of("1111"), {{sampled_frame(0, "a")}, {}}, "key", kEvening));
  std::vector<std::string> order;
  for (const StoredRecording& stored : value_of(store().recordings())) order.push_back(stored.info.id);
  EXPECT_THAT(order, testing::ElementsAre(id_of("1111"), id_of("3333"), id_of("2222")));
}

TEST_F(Recordings, WithValuesThatAreNoneAreRefused) {
  RecordingInfo info = recording_info(id_);
  info.duration_s = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(store().add_recording(info, kMorning).error().code, Errc::invalid_argument);
  info = recording_info(id_);
  info.bytes = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(store().add_recording(info, kMorning).error().code, Errc::invalid_argument);
  for (const std::string& id : {std::string(), std::string("a1b2"), std::string(32, 'A'), std::string(32, '%')}) {
    EXPECT_EQ(store().add_recording(recording_info(id), kMorning).error().code, Errc::invalid_argument) << id;
  }
  EXPECT_TRUE(value_of(store().recordings()).empty());
}

TEST_F(Recordings, UnknownOnesAreNotFoundByAnyFunction) {
  const std::string id = id_of("dead");
  const auto code = [](const auto& result) { return result ? Errc::internal : result.error().code; };
  EXPECT_EQ(code(store().recording(id)), Errc::not_found);
  EXPECT_EQ(code(store().reset_recording(id, kNoon)), Errc::not_found);
  EXPECT_EQ(code(store().save_sampling(id, {{sampled_frame(0, "a")}, {}}, "k", kNoon)), Errc::not_found);
  EXPECT_EQ(code(store().restart_description(id, "k", kNoon)), Errc::not_found);
  EXPECT_EQ(code(store().observations(id)), Errc::not_found);
  EXPECT_EQ(code(store().save_observations(id, {})), Errc::not_found);
  EXPECT_EQ(code(store().finish_description(id, kNoon)), Errc::not_found);
  EXPECT_EQ(code(store().save_segments(id, {}, "k", kNoon)), Errc::not_found);
  EXPECT_EQ(code(store().segments(id)), Errc::not_found);
  EXPECT_EQ(code(store().save_artefacts(id, {}, kNoon)), Errc::not_found);
  EXPECT_EQ(code(store().artefacts(id)), Errc::not_found);
  EXPECT_EQ(code(store().thumbnails(id)), Errc::not_found);
  EXPECT_EQ(code(store().begin_run(id, "escribano 0.1.0", kNoon)), Errc::not_found);
  EXPECT_EQ(code(store().add_step(1, {})), Errc::not_found);
  EXPECT_EQ(code(store().runs(id)), Errc::not_found);
  EXPECT_EQ(code(store().search("word", {20, id})), Errc::not_found);
}

TEST_F(Recordings, StartedOverAreKnownAndNoMoreThanThat) {
  add_sampled(id_, {sampled_frame(0, "a"), sampled_frame(1, "b")});
  succeed(store().restart_description(id_, "model", kMorning));
  succeed(store().save_observations(id_, std::vector{described(0, 0, "a terminal"), failed(1, 1)}));
  succeed(store().finish_description(id_, kMorning));
  succeed(store().save_segments(id_, std::vector{Segment{0, 2, "coding", {}, {}, "x"}}, "segments", kMorning));
  succeed(store().save_artefacts(id_, std::vector{Artefact{ArtefactFormat::card, "text", "", {}}}, kMorning));
  const std::int64_t run = value_of(store().begin_run(id_, "escribano 0.1.0", kMorning));
  succeed(store().reset_recording(id_, kEvening));

  const StoredRecording stored = value_of(reopened().recording(id_));
  EXPECT_EQ(stored.info, recording_info(id_));
  EXPECT_EQ(stored.state, RecordingState::known);
  EXPECT_EQ(stored.keys, StepKeys());
  EXPECT_EQ(stored.added_at, kMorning);
  EXPECT_EQ(stored.updated_at, kEvening);
  EXPECT_EQ(stored.frames + stored.described + stored.failed + stored.unchanged + stored.segments, 0U);
  EXPECT_TRUE(value_of(store().observations(id_)).empty());
  EXPECT_TRUE(value_of(store().segments(id_)).empty());
  EXPECT_TRUE(value_of(store().artefacts(id_)).empty());
  EXPECT_TRUE(value_of(store().thumbnails(id_)).empty());
  EXPECT_TRUE(value_of(store().search("terminal", {})).empty());
  // The run that starts over goes on.
  succeed(store().add_step(run, {"sample", "done", "", 2, 0.5, 0, 0}));
  EXPECT_EQ(integrity(), "ok");
}

}  // namespace
}  // namespace escribano
