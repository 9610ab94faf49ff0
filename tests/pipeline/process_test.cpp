// The state machine of a recording, with a real store: whatever goes wrong in between, the rows at the end are the same.
#include "pipeline/process.h"

#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/pipeline_fixture.h"
#include "store/sqlite_store.h"
#include "support/temp_folder.h"

namespace escribano {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// What is left of a recording, but for when it came about.
struct Rows {
  RecordingState state = RecordingState::known;
  StepKeys keys;
  std::vector<Observation> observations;
  std::vector<Segment> segments;
  std::vector<Artefact> artefacts;

  friend bool operator==(const Rows&, const Rows&) = default;
};

class Process : public ::testing::Test {
 protected:
  Process() { reopen("a.db"); }

  void reopen(const std::string& name) {
    store.reset();
    auto opened = open_store(folder.path() / name);
    if (!opened) throw std::runtime_error(opened.error().message);
    store = *std::move(opened);
  }

  Result<ProcessOutcome> process(Store& where) {
    ProcessObserver observer;
    observer.on_note = [&](const std::string& note) { notes.push_back(note); };
    observer.on_progress = [&](const ProcessProgress& progress) { steps.push_back(progress.step); };
    return process_recording(
        source, where,
        [&](std::size_t) -> Result<NamedService> {
          ++describers;
          return NamedService{std::shared_ptr<IntelligenceService>(&model, [](IntelligenceService*) {}), model_name};
        },
        [&]() -> Result<NamedService> {
          ++writers;
          if (!with_llm) return NamedService{};
          return NamedService{std::shared_ptr<IntelligenceService>(&model, [](IntelligenceService*) {}), "writer"};
        },
        options, observer);
  }
  Result<ProcessOutcome> process() { return process(*store); }

  Rows rows() {
    const std::string id = source.info().id;
    const auto recording = store->recording(id);
    if (!recording) throw std::runtime_error(recording.error().message);
    return {recording->state, recording->keys, store->observations(id).value(), store->segments(id).value(),
            store->artefacts(id).value()};
  }

  TempFolder folder;
  std::unique_ptr<Store> store;
  FakeSource source{10};
  FakeModel model;
  ProcessOptions options = [] {
    ProcessOptions defaults;
    defaults.program = "escribano test";
    defaults.now = [] { return std::string("2026-01-31T12:00:00Z"); };
    return defaults;
  }();
  std::string model_name = "tiny";
  bool with_llm = false;
  std::size_t describers = 0;
  std::size_t writers = 0;
  std::vector<std::string> notes;
  std::vector<Step> steps;
};

TEST_F(Process, GoesFromARecordingToASummary) {
  const auto outcome = process();
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->tried, 10u);
  EXPECT_THAT(outcome->failures, IsEmpty());
  EXPECT_EQ(outcome->recording.state, RecordingState::summarised);
  EXPECT_EQ(outcome->recording.described, 10u);
  ASSERT_THAT(outcome->artefacts, SizeIs(1));
  const Rows after = rows();
  ASSERT_THAT(after.observations, SizeIs(10));
  for (const Observation& observation : after.observations) {
    EXPECT_EQ(observation.description,
              "The editor shows file" + std::to_string(int(observation.timestamp_s)) + ".cpp.");
    EXPECT_EQ(observation.model, "tiny");
    EXPECT_EQ(observation.attempts, 1);
  }
  ASSERT_FALSE(after.segments.empty());
  EXPECT_EQ(after.segments.front().start_s, 0);
  EXPECT_EQ(after.segments.back().end_s, 100);
  const auto runs = store->runs(source.info().id).value();
  ASSERT_THAT(runs, SizeIs(1));
  std::vector<std::string> names;
  for (const StepStats& step : runs[0].steps) names.push_back(step.step + " " + step.outcome);
  EXPECT_THAT(names, ElementsAre("sample done", "describe done", "segment done", "summarise done"));
  EXPECT_EQ(runs[0].steps[1].generation_tokens, 100);
}

TEST_F(Process, DescribesInBatchesOfTheSizeAskedFor) {
  options.describe.batch_size = 4;
  ASSERT_TRUE(process());
  EXPECT_THAT(model.calls, ElementsAre(SizeIs(4), SizeIs(4), SizeIs(2)));
}

TEST_F(Process, ASecondRunHasNothingToDo) {
  ASSERT_TRUE(process());
  const Rows first = rows();
  const std::size_t calls = model.calls.size();
  const auto again = process();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->tried, 0u);
  EXPECT_THAT(again->artefacts, SizeIs(1));
  EXPECT_EQ(model.calls.size(), calls);
  EXPECT_EQ(describers, 1u) << "no model is loaded where there is nothing to describe";
  EXPECT_EQ(source.samplings, 1u);
  EXPECT_EQ(rows(), first);
}

TEST_F(Process, UnchangedFramesAreNotDescribedAndSayWhoseDescriptionTheyShare) {
  source.unchanged = {3, 4, 5};
  ASSERT_TRUE(process());
  const Rows after = rows();
  EXPECT_EQ(model.calls[0].size() + model.calls[1].size(), 7u);
  EXPECT_EQ(after.observations[4].status, ObservationStatus::unchanged);
  EXPECT_EQ(after.observations[4].source_timestamp_s, 20);
  EXPECT_EQ(after.observations[4].description, "The editor shows file20.cpp.");
}

TEST_F(Process, AStopBetweenAnyTwoCallsLosesNothing) {
  ASSERT_TRUE(process());
  const Rows undisturbed = rows();
  for (std::size_t calls = 1; calls <= 3; ++calls) {
    reopen("stop-" + std::to_string(calls) + ".db");
    model.calls.clear();
    std::stop_source stop;
    options.stop = stop.get_token();
    model.before_call = [&] {
      if (model.calls.size() == calls) stop.request_stop();
    };
    const auto stopped = process();
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, Errc::cancelled);
    EXPECT_EQ(store->recording(source.info().id)->described, 4 * (calls - 1)) << "what was described before is kept";
    EXPECT_EQ(store->runs(source.info().id)->front().steps.back().outcome, "cancelled");
    model.before_call = nullptr;
    options.stop = {};
    model.calls.clear();
    ASSERT_TRUE(process());
    EXPECT_EQ(model.calls.size(), 3 - (calls - 1)) << "and not described again";
    EXPECT_EQ(rows(), undisturbed);
  }
}

TEST_F(Process, AFailureOfAnyWriteLosesNothing) {
  FaultyStore counting(*store);
  ASSERT_TRUE(process(counting));
  const Rows undisturbed = rows();
  ASSERT_GT(counting.writes, 7u);
  for (std::size_t at = 1; at <= counting.writes; ++at) {
    reopen("fault-" + std::to_string(at) + ".db");
    FaultyStore faulty(*store);
    faulty.fail_at = at;
    const auto failed = process(faulty);
    ASSERT_FALSE(failed) << at;
    EXPECT_EQ(failed.error().message, "the disk is full");
    ASSERT_TRUE(process()) << at;
    EXPECT_EQ(rows(), undisturbed) << at;
  }
}

TEST_F(Process, FramesThatFailAreListedAndTriedAgainABoundedNumberOfTimes) {
  model.fails = {20};
  model.unparsed = {50};
  for (int run = 1; run <= 3; ++run) {
    const auto outcome = process();
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->tried, run == 1 ? 10u : 2u);
    ASSERT_THAT(outcome->failures, SizeIs(2));
    EXPECT_EQ(outcome->failures[0].attempts, run);
    EXPECT_EQ(outcome->failures[0].error, "no luck at 20");
    EXPECT_EQ(outcome->failures[1].status, ObservationStatus::unparsed);
    EXPECT_EQ(outcome->failures[1].raw_response, "I cannot say.");
    EXPECT_EQ(outcome->recording.state, RecordingState::summarised) << "the rest is worth showing";
  }
  const auto given_up = process();
  ASSERT_TRUE(given_up);
  EXPECT_EQ(given_up->tried, 0u);
  EXPECT_THAT(given_up->failures, SizeIs(2));
}

TEST_F(Process, AFrameThatSucceedsLaterChangesSegmentsAndSummary) {
  with_llm = false;
  model.fails = {0, 10, 20, 30, 40, 50, 60, 70, 80, 90};
  ASSERT_TRUE(process());
  EXPECT_EQ(rows().segments.at(0).activity, "other");
  const std::string nothing = rows().artefacts.at(0).text;
  model.fails = {};
  ASSERT_TRUE(process());
  EXPECT_EQ(rows().segments.at(0).activity, "coding");
  EXPECT_NE(rows().artefacts.at(0).text, nothing);
}

TEST_F(Process, APictureThatCannotBeDecodedFailsAlone) {
  source.undecodable = {30};
  const auto outcome = process();
  ASSERT_TRUE(outcome);
  ASSERT_THAT(outcome->failures, SizeIs(1));
  EXPECT_EQ(outcome->failures[0].timestamp_s, 30);
  EXPECT_EQ(outcome->failures[0].error, "damaged at 30 s");
  EXPECT_EQ(outcome->failures[0].error_code, "corrupt");
  EXPECT_EQ(outcome->recording.described, 9u);
}

TEST_F(Process, AFrameThatKillsTheModelTakesNoOtherAlong) {
  model.deadly = {50};
  const auto outcome = process();
  ASSERT_TRUE(outcome) << outcome.error().message;
  ASSERT_THAT(outcome->failures, SizeIs(1));
  EXPECT_EQ(outcome->failures[0].timestamp_s, 50);
  EXPECT_EQ(outcome->failures[0].error_code, "bridge_died");
  EXPECT_EQ(outcome->recording.described, 9u);
}

TEST_F(Process, AModelThatDiesOfEveryFrameEndsTheRun) {
  model.deadly = {0, 10, 20, 30, 40, 50, 60, 70, 80, 90};
  const auto outcome = process();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::bridge_died);
  EXPECT_LT(model.calls.size(), 8u);
}

TEST_F(Process, AModelThatIsNotThereEndsTheRunAndCountsAsNoAttempt) {
  model.error = Error{Errc::bridge_unavailable, "no bridge could be started"};
  const auto outcome = process();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().message, "no bridge could be started");
  for (const Observation& observation : rows().observations) {
    EXPECT_EQ(observation.status, ObservationStatus::pending);
    EXPECT_EQ(observation.attempts, 0);
  }
}

TEST_F(Process, ForceStartsOver) {
  ASSERT_TRUE(process());
  const Rows first = rows();
  options.force = true;
  const auto outcome = process();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->tried, 10u);
  EXPECT_EQ(source.samplings, 2u);
  EXPECT_EQ(rows(), first);
}

TEST_F(Process, HalfARecordingIsNotDescribedByAnotherModel) {
  std::stop_source stop;
  options.stop = stop.get_token();
  model.before_call = [&] {
    if (model.calls.size() == 2) stop.request_stop();
  };
  ASSERT_FALSE(process());
  options.stop = {};
  model_name = "huge";
  const auto refused = process();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
  EXPECT_EQ(refused.error().message,
            "/recordings/monday.mp4: 4 frames were described by tiny, and 6 frames are still to describe; go on with "
            "--model tiny, or start over with --force");
  options.force = true;
  ASSERT_TRUE(process());
  EXPECT_EQ(rows().observations[0].model, "huge");
}

TEST_F(Process, AFinishedRecordingStaysAsItIsWithAnotherModel) {
  ASSERT_TRUE(process());
  const Rows first = rows();
  model_name = "huge";
  ASSERT_TRUE(process());
  EXPECT_EQ(rows(), first);
}

TEST_F(Process, AnotherIntervalPicksOtherFramesAndKeepsTheDescriptionsOfThoseItShares) {
  ASSERT_TRUE(process());
  model.calls.clear();
  options.sampling.interval_s = 20;
  ASSERT_TRUE(process());
  EXPECT_THAT(model.calls, IsEmpty()) << "0, 20, 40, 60 and 80 s are described already";
  EXPECT_THAT(rows().observations, SizeIs(5));
  options.sampling.interval_s = 10;
  options.keep_sampling = true;
  ASSERT_TRUE(process());
  EXPECT_THAT(rows().observations, SizeIs(5));
}

TEST_F(Process, AnotherLeastLengthMakesOtherSegmentsUnlessTheyAreToBeKept) {
  ASSERT_TRUE(process());
  const StepKeys keys = rows().keys;
  options.segments.min_segment_s = 5;
  options.keep_segments = true;
  ASSERT_TRUE(process());
  EXPECT_EQ(rows().keys, keys);
  options.keep_segments = false;
  ASSERT_TRUE(process());
  EXPECT_NE(rows().keys, keys);
}

TEST_F(Process, WarningsOfTheRecordingAreTold) {
  source.warnings = {"The recording is cut off at 1:20."};
  const auto outcome = process();
  ASSERT_TRUE(outcome);
  EXPECT_THAT(notes, ElementsAre("The recording is cut off at 1:20."));
  EXPECT_THAT(outcome->recording.warnings, ElementsAre("The recording is cut off at 1:20."));
}

TEST_F(Process, ALanguageModelThatFailsCostsOnlyItsTextAndIsAskedAgain) {
  with_llm = true;
  const auto outcome = process();
  ASSERT_TRUE(outcome);
  EXPECT_THAT(notes, ElementsAre(HasSubstr("the model server said no")));
  EXPECT_THAT(outcome->artefacts.at(0).text, HasSubstr("the model server said no"));
  EXPECT_EQ(outcome->artefacts.at(0).model, "");
  model.write = [](std::string_view) -> Result<GeneratedText> {
    return GeneratedText{.text = "# Session\n\n- **0:00-1:40** coding in VS Code on atlas\n"};
  };
  const auto again = process();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->artefacts.at(0).model, "writer") << again->artefacts.at(0).text;
  EXPECT_THAT(again->artefacts.at(0).text, HasSubstr("coding in VS Code"));
  const std::size_t prompts = model.prompts.size();
  ASSERT_TRUE(process());
  EXPECT_EQ(model.prompts.size(), prompts);
}

TEST_F(Process, ExcludedAppsDoNotReachTheLanguageModel) {
  with_llm = true;
  model.write = [](std::string_view) -> Result<GeneratedText> { return GeneratedText{.text = "# Session\n"}; };
  options.excluded_apps = {"visual studio code"};
  const auto outcome = process();
  ASSERT_TRUE(outcome);
  for (const std::string& prompt : model.prompts) {
    EXPECT_THAT(prompt, Not(HasSubstr("VS Code")));
    EXPECT_THAT(prompt, Not(HasSubstr("editor")));
  }
  EXPECT_THAT(outcome->artefacts.at(0).text, HasSubstr("VS Code")) << "the artefact says what was left out";
  EXPECT_THAT(outcome->artefacts.at(0).text, Not(HasSubstr("editor")));
}

TEST_F(Process, EachFormatIsWrittenOnce) {
  options.formats = {ArtefactFormat::card, ArtefactFormat::standup, ArtefactFormat::narrative};
  const auto outcome = process();
  ASSERT_TRUE(outcome);
  EXPECT_THAT(outcome->artefacts, SizeIs(3));
  EXPECT_THAT(rows().artefacts, SizeIs(3));
  options.formats = {ArtefactFormat::standup};
  const auto again = process();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->artefacts.at(0), outcome->artefacts.at(1));
  EXPECT_THAT(rows().artefacts, SizeIs(3));
}

}  // namespace
}  // namespace escribano
