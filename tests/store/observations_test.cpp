#include <limits>

#include "store/json_list.h"
#include "store/store_fixture.h"

namespace escribano {
namespace {

using testing::HasSubstr;

class Observations : public StoreTest {};

TEST_F(Observations, ComeBackAsTheyWere) {
  add_sampled(id_,
              {sampled_frame(0.1, "a"), sampled_frame(1.1, "b"), sampled_frame(2.1, "c"), sampled_frame(3.1, "d")});
  const std::vector saved = {described(0, 0.1, "Editing main.cpp", {"VS Code", "Terminal"}, {"c++", "build"}),
                             failed(1, 1.1, 3), unparsed(2, 2.1)};
  succeed(store().save_observations(id_, saved));
  const auto read = value_of(reopened().observations(id_));
  ASSERT_EQ(read.size(), 4U);
  EXPECT_EQ((std::vector{read[0], read[1], read[2]}), saved);
  EXPECT_EQ(read[3].status, ObservationStatus::pending);
  const StoredRecording stored = value_of(store().recording(id_));
  EXPECT_EQ(stored.described, 1U);
  EXPECT_EQ(stored.failed, 2U);
  EXPECT_EQ(stored.state, RecordingState::sampled);
}

TEST_F(Observations, KeepEveryByteOfEveryText) {
  add_sampled(id_, {sampled_frame(0, "a")});
  const std::string odd("nul \0, not UTF-8 \xff\xc3, \xf0\x9f\x98\x80, \"quotes\" \\ \n\t'; DROP TABLE frames; --", 60);
  Observation saved = described(0, 0, odd, {odd, "", "Terminal", "\xff"}, {odd, odd});
  saved.activity = saved.raw_response = saved.error_code = saved.error = saved.model = odd;
  succeed(store().save_observations(id_, std::vector{saved}));
  EXPECT_EQ(value_of(reopened().observations(id_)), std::vector{saved});
  EXPECT_EQ(value_of(store().search("quotes", {})).at(0).observation, saved);
  EXPECT_EQ(integrity(), "ok");
}

TEST_F(Observations, UnchangedFramesHaveTheFieldsOfTheirSource) {
  add_sampled(id_, {sampled_frame(0, "a"), unchanged_frame(1, "a", 0), sampled_frame(2, "b"),
                    unchanged_frame(3, "b", 2), unchanged_frame(4, "a", 0)});
  succeed(store().save_observations(id_, std::vector{described(0, 0, "alpha", {"Terminal"}, {"build"}), failed(2, 2)}));
  const auto read = value_of(store().observations(id_));
  ASSERT_EQ(read.size(), 5U);
  Observation shared;
  shared.position = 1;
  shared.timestamp_s = 1;
  shared.status = ObservationStatus::unchanged;
  shared.description = "alpha";
  shared.activity = "coding";
  shared.apps = {"Terminal"};
  shared.topics = {"build"};
  shared.source_timestamp_s = 0;
  EXPECT_EQ(read[1], shared);
  shared.position = 4;
  shared.timestamp_s = 4;
  EXPECT_EQ(read[4], shared);
  Observation of_failed;
  of_failed.position = 3;
  of_failed.timestamp_s = 3;
  of_failed.status = ObservationStatus::unchanged;
  of_failed.source_timestamp_s = 2;
  EXPECT_EQ(read[3], of_failed);
}

TEST_F(Observations, ALaterOneReplacesTheEarlierAlsoInTheSearch) {
  add_sampled(id_, {sampled_frame(0, "a"), sampled_frame(1, "b")});
  succeed(store().save_observations(id_, std::vector{failed(0, 0, 1), described(1, 1, "omega")}));
  succeed(store().save_observations(id_, std::vector{described(0, 0, "alpha")}));
  EXPECT_EQ(value_of(store().search("alpha", {})).size(), 1U);
  succeed(store().save_observations(id_, std::vector{described(0, 0, "beta")}));
  EXPECT_EQ(value_of(store().search("alpha", {})).size(), 0U);
  EXPECT_EQ(value_of(store().search("beta", {})).size(), 1U);
  succeed(store().save_observations(id_, std::vector{unparsed(0, 0)}));
  EXPECT_EQ(value_of(store().search("beta", {})).size(), 0U);
  EXPECT_EQ(value_of(store().observations(id_))[0], unparsed(0, 0));
  EXPECT_EQ(integrity(), "ok");
}

TEST_F(Observations, ABatchIsSavedWholeOrNotAtAll) {
  add_sampled(id_, {sampled_frame(0, "a"), unchanged_frame(1, "a", 0), sampled_frame(2, "b")});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Observation pending;
  pending.position = 2;
  pending.timestamp_s = 2;
  Observation slow = described(2, 2, "x");
  slow.model_ms = nan;
  Observation negative = described(2, 2, "x");
  negative.attempts = -1;
  for (const Observation& bad :
       {described(1, 1, "unchanged has none"), described(3, 3, "no such frame"), described(2, 2.5, "another time"),
        described(2, nan, "no time"), pending, slow, negative}) {
    const Status saved = store().save_observations(id_, std::vector{described(0, 0, "alpha"), bad});
    ASSERT_FALSE(saved) << bad.description;
    EXPECT_EQ(saved.error().code, Errc::invalid_argument) << saved.error().message;
  }
  EXPECT_EQ(value_of(store().observations(id_))[0].status, ObservationStatus::pending);
  EXPECT_TRUE(value_of(store().search("alpha", {})).empty());
}

TEST_F(Observations, AnotherModelStartsFromNothing) {
  add_sampled(id_, {sampled_frame(0, "a"), unchanged_frame(1, "a", 0)});
  succeed(store().save_observations(id_, std::vector{described(0, 0, "alpha")}));
  succeed(store().finish_description(id_, kMorning));
  succeed(store().save_segments(id_, std::vector{Segment{0, 2, "coding", {}, {}, "x"}}, "segments", kMorning));
  succeed(store().restart_description(id_, "another model", kNoon));
  const StoredRecording stored = value_of(store().recording(id_));
  EXPECT_EQ(stored.state, RecordingState::sampled);
  EXPECT_EQ(stored.keys, (StepKeys{"every 10 s", "another model", ""}));
  EXPECT_EQ(stored.frames, 2U);
  EXPECT_EQ(stored.described + stored.segments, 0U);
  EXPECT_EQ(value_of(store().observations(id_))[0].status, ObservationStatus::pending);
  EXPECT_TRUE(value_of(store().search("alpha", {})).empty());
  EXPECT_EQ(integrity(), "ok");
}

TEST_F(Observations, DescribedMeansThatNoFrameIsPending) {
  succeed(store().add_recording(recording_info(id_), kMorning));
  EXPECT_EQ(store().restart_description(id_, "model", kNoon).error().code, Errc::invalid_argument);
  EXPECT_EQ(store().finish_description(id_, kNoon).error().code, Errc::invalid_argument);
  add_sampled(id_, {sampled_frame(0, "a"), unchanged_frame(1, "a", 0), sampled_frame(2, "b")});
  succeed(store().save_observations(id_, std::vector{described(0, 0, "alpha")}));
  const Status early = store().finish_description(id_, kNoon);
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, Errc::invalid_argument);
  EXPECT_THAT(early.error().message, HasSubstr("1 of the 3 frames"));
  succeed(store().save_observations(id_, std::vector{failed(2, 2)}));
  succeed(store().finish_description(id_, kNoon));
  EXPECT_EQ(value_of(store().recording(id_)).state, RecordingState::described);
  EXPECT_EQ(value_of(store().recording(id_)).updated_at, kNoon);
}

TEST(JsonList, KeepsEveryByte) {
  const std::vector<std::string> texts = {"",         "Terminal",         "\"\\\n", std::string("\0x", 2),
                                          "\xff\x00", "{\"hex\":\"00\"}", "é"};
  EXPECT_EQ(value_of(from_json_list(to_json_list(texts))), texts);
  EXPECT_EQ(to_json_list({"VS Code", "\xff\x01"}), R"(["VS Code",{"hex":"ff01"}])");
  EXPECT_EQ(to_json_list({}), "[]");
}

TEST(JsonList, RefusesWhatItDidNotWrite) {
  for (const std::string text : {"", "{}", "[", "[1]", "[null]", "[[]]", R"([{"hex":"f"}])", R"([{"hex":"FF"}])",
                                 R"([{"hex":1}])", R"([{"hex":"ff","x":1}])", R"(["a"] b)", "[\"\xff\"]"}) {
    const auto list = from_json_list(text);
    ASSERT_FALSE(list) << text;
    EXPECT_EQ(list.error().code, Errc::corrupt);
  }
  EXPECT_FALSE(from_json_list(std::string(1'000'000, '[')));
}

}  // namespace
}  // namespace escribano
