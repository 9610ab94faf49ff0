// The engine over a fake model: scheduling, isolation, retries, cancelling. No weights, so every fault can be shown.
#include "engine/engine.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine_fixture.h"

namespace escribano::engine {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;

TEST_F(EngineTest, EveryFrameGetsItsOwnTextInTheOrderOfTheRequest) {
  options.image_workers = 3;  // they load pictures in an order that differs from run to run
  start(5);
  const Outcome outcome = run(request(numbers_up_to(40)));
  ASSERT_TRUE(outcome.done);
  ASSERT_EQ(outcome.frames.size(), 40u);
  for (std::size_t i = 0; i < 40; ++i) {
    EXPECT_EQ(outcome.frames[i].index, i);
    EXPECT_EQ(outcome.frames[i].status, FrameStatus::described);
    EXPECT_EQ(outcome.frames[i].raw, line(static_cast<int>(i)));
    EXPECT_EQ(outcome.frames[i].stats.finish_reason, FinishReason::stop);
  }
}

TEST_F(EngineTest, ALoneFrameIsDecodedInTwoRows) {
  options.draft_tokens = 0;
  start(1);
  run(request({7}));
  EXPECT_THAT(script->decode_row_counts, Each(2u));
}

TEST_F(EngineTest, InterleavedFramesAreGroupedAndTheGroupsKeepTheirOwnFrames) {
  start(2, 4096, 3);
  DescribeRequest interleaved = request(numbers_up_to(8));
  interleaved.strategy = Strategy::interleaved;
  interleaved.batch_size = 5;  // the model takes 3 a prompt
  interleaved.prompt = "{n} frames.";
  const Outcome outcome = run(std::move(interleaved));
  ASSERT_TRUE(outcome.done);
  ASSERT_EQ(outcome.frames.size(), 8u);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(outcome.frames[i].description.apps, std::vector<std::string>{"App" + std::to_string(i)});
  }
}

TEST_F(EngineTest, AnImageThatCannotBeLoadedFailsAloneAlsoInAnInterleavedPrompt) {
  start(2);
  for (const Strategy strategy : {Strategy::parallel, Strategy::interleaved}) {
    DescribeRequest mixed = request({1, 2, 3});
    mixed.frames[1] = {.path = "/nonexistent.png"};
    mixed.strategy = strategy;
    const Outcome outcome = run(std::move(mixed));
    ASSERT_EQ(outcome.frames.size(), 3u);
    EXPECT_EQ(outcome.frames[0].description.apps.front(), "App1");
    ASSERT_EQ(outcome.frames[1].status, FrameStatus::failed);
    EXPECT_EQ(outcome.frames[1].error->code, Errc::not_found);
    EXPECT_EQ(outcome.frames[2].description.apps.front(), "App3");
  }
}

TEST_F(EngineTest, TheSamePixelsAreEncodedOnce) {
  options.answer_cache_bytes = 0;
  start(1);
  const Outcome outcome = run(request({5, 6, 5, 5}));
  EXPECT_EQ(script->encoded, (std::vector<int>{5, 6}));
  EXPECT_EQ(outcome.frames[0].stats.reused, Reuse::none);
  EXPECT_EQ(outcome.frames[2].stats.reused, Reuse::cache);
  EXPECT_EQ(outcome.frames[3].raw, line(5));
}

TEST_F(EngineTest, ATruncatedAnswerIsGivenMoreRoomOnceAndThenReported) {
  start(1);
  const int length = static_cast<int>(line(1).size());
  DescribeRequest enough = request({1});
  enough.max_tokens = length / 2 + 2;
  Outcome outcome = run(std::move(enough));
  EXPECT_EQ(outcome.frames[0].status, FrameStatus::described);
  EXPECT_EQ(outcome.frames[0].raw, line(1));
  EXPECT_EQ(outcome.frames[0].stats.attempts, 2);
  EXPECT_EQ(outcome.frames[0].stats.finish_reason, FinishReason::stop);

  DescribeRequest too_little = request({1});
  too_little.max_tokens = length / 4;
  outcome = run(std::move(too_little));
  EXPECT_EQ(outcome.frames[0].status, FrameStatus::unparsed);
  EXPECT_EQ(outcome.frames[0].stats.finish_reason, FinishReason::length);
  EXPECT_FALSE(outcome.frames[0].raw.empty());
}

TEST_F(EngineTest, AFrameThatATruncatedBatchNeverReachedKeepsTheWholeAnswerAndTakesNothingFromItsNeighbour) {
  start(1);
  DescribeRequest interleaved = request({1, 2});
  interleaved.strategy = Strategy::interleaved;
  // With the second attempt: the line of Frame 1 and its end.
  interleaved.max_tokens = static_cast<int>(("Frame 1: " + line(1) + "\n").size()) / 2;
  const Outcome outcome = run(std::move(interleaved));
  ASSERT_EQ(outcome.frames.size(), 2u);
  EXPECT_EQ(outcome.frames[0].status, FrameStatus::described);
  EXPECT_EQ(outcome.frames[0].description.apps, std::vector<std::string>{"App1"});
  EXPECT_EQ(outcome.frames[1].status, FrameStatus::unparsed);
  EXPECT_EQ(outcome.frames[1].stats.finish_reason, FinishReason::length);
  EXPECT_EQ(outcome.frames[1].raw.substr(0, 8), "Frame 1:");
}

TEST_F(EngineTest, ALoopIsBrokenByAnotherTokenAtItsBeginning) {
  // The model would write "ab" for ever; with 'a' refused once, it says 'x' and comes out of it.
  script->answer = [](const std::vector<int>&, const std::string&) {
    std::string text = "description: ab";
    text += "abababababababababababababababababababababababababababababababababababababab";
    return text;
  };
  start(1);
  const Outcome outcome = run(request({1}));
  EXPECT_EQ(outcome.frames[0].stats.attempts, 2);
  EXPECT_EQ(outcome.frames[0].raw.substr(0, 16), "description: abx");
}

TEST_F(EngineTest, ALoopThatComesBackIsReported) {
  script->answer = [](const std::vector<int>&, const std::string&) { return "description: " + std::string(400, 'a'); };
  start(1);
  const Outcome outcome = run(request({1}));
  EXPECT_EQ(outcome.frames[0].status, FrameStatus::unparsed);
  EXPECT_EQ(outcome.frames[0].stats.finish_reason, FinishReason::loop);
  EXPECT_EQ(outcome.frames[0].stats.attempts, 2);
}

TEST_F(EngineTest, AnAnswerOutsideTheFormIsAskedForAgainUnderConstraint) {
  script->answer = [](const std::vector<int>&, const std::string&) { return std::string("I see a screen."); };
  start(1, 256);
  DescribeRequest unconstrained = request({1});
  unconstrained.constrained = false;
  unconstrained.max_tokens = 60;
  const Outcome outcome = run(std::move(unconstrained));
  EXPECT_EQ(outcome.frames[0].stats.attempts, 2);
  EXPECT_EQ(outcome.frames[0].raw.substr(0, 13), "description: ") << "the second attempt keeps to the format";
}

TEST_F(EngineTest, APromptThatDoesNotFitFailsWithTheNumbers) {
  start(1, 64);
  DescribeRequest long_prompt = request({1});
  long_prompt.prompt = std::string(100, 'p');
  const Outcome outcome = run(std::move(long_prompt));
  ASSERT_EQ(outcome.frames[0].status, FrameStatus::failed);
  EXPECT_EQ(outcome.frames[0].error->code, Errc::context_full);
  EXPECT_NE(outcome.frames[0].error->message.find("64"), std::string::npos);
}

TEST_F(EngineTest, AnEncodeThatFailsTakesNoNeighbourAlong) {
  std::atomic<int> encodes = 0;
  script->before_step = [&](std::string_view step) -> Status {
    if (step == "encode" && ++encodes == 2) return fail(Errc::inference_failed, "out of order");
    return {};
  };
  start(3);
  const Outcome outcome = run(request({1, 2, 3}));
  EXPECT_EQ(outcome.frames[0].status, FrameStatus::described);
  EXPECT_EQ(outcome.frames[1].status, FrameStatus::failed);
  EXPECT_EQ(outcome.frames[1].error->message, "out of order");
  EXPECT_EQ(outcome.frames[2].status, FrameStatus::described);
}

TEST_F(EngineTest, WhoeverIsToldOfAFrameFindsItCounted) {
  start(2);
  Recorder recorder;
  DescribeObserver observer = recorder.observer();
  std::vector<std::uint64_t> counted;
  observer.on_frame = [&, told = observer.on_frame](const FrameResult& result) {
    counted.push_back(engine->counters().frames_described);
    told(result);
  };
  ASSERT_TRUE(engine->submit(request(numbers_up_to(5)), std::move(observer)));
  ASSERT_TRUE(recorder.wait().done);
  ASSERT_EQ(counted.size(), 5u);
  for (std::size_t i = 0; i < counted.size(); ++i) EXPECT_GE(counted[i], i + 1);
}

TEST_F(EngineTest, CancellingEndsTheRequestDuringAnEncodeWithoutFurtherFrames) {
  std::promise<void> encoding;
  std::atomic<int> encodes = 0;
  script->before_step = [&](std::string_view step) -> Status {
    if (step != "encode" || ++encodes != 3) return {};
    encoding.set_value();
    if (backend->wait_for_interrupt([] { return false; })) return fail(Errc::cancelled, "cancelled");
    return {};
  };
  start(2);

  Recorder recorder;
  const JobId job = engine->submit(request(numbers_up_to(6)), recorder.observer()).value();
  encoding.get_future().wait();
  engine->cancel(job);
  const Outcome outcome = recorder.wait();
  ASSERT_FALSE(outcome.done);
  EXPECT_EQ(outcome.done.error().code, Errc::cancelled);
  EXPECT_LE(outcome.frames.size(), 2u);
  EXPECT_EQ(recorder.done_calls(), 1);

  script->before_step = [](std::string_view) { return Status(); };
  EXPECT_EQ(run(request({9})).frames.front().raw, line(9)) << "the engine goes on without a reload";
}

TEST_F(EngineTest, CancellingOneRequestLeavesTheOthersAlone) {
  start(4);
  Recorder cancelled;
  Recorder kept;
  const JobId job = engine->submit(request(numbers_up_to(200)), cancelled.observer()).value();
  ASSERT_TRUE(engine->submit(request(numbers_up_to(20)), kept.observer()));
  cancelled.wait_for_frames(2);
  engine->cancel(job);
  EXPECT_FALSE(cancelled.wait().done);
  const Outcome outcome = kept.wait();
  ASSERT_TRUE(outcome.done);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(outcome.frames[i].raw, line(static_cast<int>(i)));
}

TEST_F(EngineTest, ASmallRequestIsNotStuckBehindALargeOne) {
  start(2);
  Recorder large;
  Recorder small;
  ASSERT_TRUE(engine->submit(request(numbers_up_to(250)), large.observer()));
  large.wait_for_frames(1);
  ASSERT_TRUE(engine->submit(request({1, 2}), small.observer()));
  small.wait();
  EXPECT_EQ(large.done_calls(), 0) << "the small request ends while the large one runs";
  large.wait();
}

TEST_F(EngineTest, StoppingTheEngineEndsWhatRuns) {
  start(2);
  Recorder recorder;
  ASSERT_TRUE(engine->submit(request(numbers_up_to(200)), recorder.observer()));
  recorder.wait_for_frames(1);
  engine.reset();
  EXPECT_EQ(recorder.wait().done.error().code, Errc::cancelled);
}

TEST_F(EngineTest, StoppingDuringTheLastStepIsACancelledRequestAndNoFailedFrame) {
  std::promise<void> decoding;
  bool told = false;
  script->before_step = [&](std::string_view step) -> Status {
    if (step != "decode") return {};
    if (!std::exchange(told, true)) decoding.set_value();
    backend->wait_for_interrupt([] { return false; });
    return fail(Errc::cancelled, "cancelled");
  };
  start(1);
  Recorder recorder;
  ASSERT_TRUE(engine->submit(request({1}), recorder.observer()));
  decoding.get_future().wait();
  engine.reset();
  const Outcome outcome = recorder.wait();
  ASSERT_FALSE(outcome.done);
  EXPECT_EQ(outcome.done.error().code, Errc::cancelled);
  EXPECT_THAT(outcome.frames, IsEmpty());
  EXPECT_EQ(recorder.done_calls(), 1);
}

TEST_F(EngineTest, CountersAddUp) {
  start(3);
  DescribeRequest mixed = request({1, 2, 1});
  mixed.frames.push_back({.path = "/nonexistent.png"});
  run(std::move(mixed));
  const EngineCounters counters = engine->counters();
  EXPECT_EQ(counters.running_sequences, 0);
  EXPECT_EQ(counters.frames_described, 3u);
  EXPECT_EQ(counters.frames_failed, 1u);
  EXPECT_EQ(counters.images_encoded, 2u);
  EXPECT_EQ(counters.images_reused, 1u);
}

TEST_F(EngineTest, RequestsThatMakeNoSenseAreRefusedWithTheReason) {
  start(1);
  DescribeRequest empty;
  EXPECT_EQ(engine->submit(empty, {}).error().code, Errc::invalid_argument);
  DescribeRequest bad = request({1});
  bad.batch_size = 0;
  EXPECT_NE(engine->submit(bad, {}).error().message.find("batch size"), std::string::npos);
}

}  // namespace
}  // namespace escribano::engine
