// The context is cut anew for what does not fit it, and back, while frames and conversations come and go. That no slot is
// in use then is checked by the fake backend.
#include <atomic>
#include <memory>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine_fixture.h"

namespace escribano::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

// 4 slots of 512 tokens, one token a byte, up to one of 2048.
class ReshapeTest : public EngineTest {
 protected:
  ReshapeTest() {
    options.max_context_tokens = 4096;
    options.max_total_tokens = 2048;
    script->answer = [](const std::vector<int>& images, const std::string& text) {
      if (text.find("Describe.") != std::string::npos) return line(images.front());
      return "Length " + std::to_string(text.size());
    };
    start(4, 512);
  }
  // A question whose prompt and budget need so many tokens.
  GenerateRequest question_of(int tokens, int budget = 40) {
    const int marks = engine->prompt_tokens(question("?")).value() - 1;
    GenerateRequest request = question(std::string(static_cast<std::size_t>(tokens - budget - marks), 'q'));
    request.max_tokens = budget;
    return request;
  }
  static DescribeRequest frames(const std::vector<int>& numbers) {
    DescribeRequest frames = request(numbers);
    frames.max_tokens = 100;
    return frames;
  }
};

TEST_F(ReshapeTest, WhatFitsIsAnsweredInTheShapeThatThereIs) {
  EXPECT_TRUE(run(question_of(512)));
  EXPECT_THAT(reshapes(), IsEmpty());
}

TEST_F(ReshapeTest, ALongConversationGetsTheContextItNeedsAndTheNextFrameTheOldOneBack) {
  EXPECT_TRUE(run(question_of(513)));
  EXPECT_THAT(reshapes(), ElementsAre(Pair(2, 768)));
  EXPECT_EQ(engine->slots(), 4);
  EXPECT_EQ(engine->context_tokens(), 512);
  EXPECT_EQ(run(frames({3})).frames.front().raw, line(3));
  EXPECT_THAT(reshapes(), ElementsAre(Pair(2, 768), Pair(4, 512)));
  EXPECT_TRUE(run(question_of(2048)));
  EXPECT_THAT(reshapes(), ElementsAre(Pair(2, 768), Pair(4, 512), Pair(1, 2048)));
}

TEST_F(ReshapeTest, ItWaitsForWhatRunsAndHoldsTheQueueBehindIt) {
  Gate gate;
  std::atomic<bool> held = false;
  script->before_step = [&](std::string_view step) -> Status {
    if (step == "decode" && !held.exchange(true)) gate.arrive();
    return {};
  };
  Recorder before;
  Reply waiting;
  Recorder behind;
  std::vector<std::string> order;  // on the engine thread
  script->before_reshape = [&](int, int) {
    order.push_back("reshape after " + std::to_string(before.done_calls()) + ", before " +
                    std::to_string(behind.done_calls()));
    return Status();
  };
  ASSERT_TRUE(engine->submit(frames({1, 2}), before.observer()));
  gate.reached();
  ASSERT_TRUE(engine->submit(question_of(600), waiting.on_done()));
  ASSERT_TRUE(engine->submit(frames({5}), behind.observer()));
  gate.open();
  EXPECT_TRUE(waiting.wait());
  EXPECT_EQ(behind.wait().frames.front().raw, line(5));
  ASSERT_FALSE(order.empty());
  EXPECT_EQ(order.front(), "reshape after 1, before 0");
}

TEST_F(ReshapeTest, ManyOfBothKindsKeepTheirAnswers) {
  options.image_workers = 2;
  start(4, 512);
  Recorder recorder;
  ASSERT_TRUE(engine->submit(frames(numbers_up_to(100)), recorder.observer()));
  std::vector<std::unique_ptr<Reply>> replies;
  std::vector<std::string> expected;
  for (const int tokens : {300, 700, 2048, 512, 1000, 900, 400, 1500}) {
    GenerateRequest request = question_of(tokens);
    const std::size_t marks = std::string("{im_start}user\n{im_end}\n{im_start}assistant\n").size();
    expected.push_back("Length " + std::to_string(marks + std::get<std::string>(request.messages[0].parts[0]).size()));
    replies.push_back(std::make_unique<Reply>());
    ASSERT_TRUE(engine->submit(std::move(request), replies.back()->on_done()));
  }
  for (std::size_t i = 0; i < replies.size(); ++i) EXPECT_EQ(replies[i]->wait().value().text, expected[i]);
  const Outcome outcome = recorder.wait();
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(outcome.frames[i].raw, line(static_cast<int>(i)));
  for (const auto& [slots, context] : reshapes()) EXPECT_LE(slots * context, 2048);
  EXPECT_THAT(reshapes().back(), Pair(4, 512)) << "the rest of the frames was not done in the shape of a conversation";
}

TEST_F(ReshapeTest, AFrameThatNeedsRoomForASecondAttemptGetsIt) {
  DescribeRequest request = frames({1});
  request.max_tokens = 300;
  EXPECT_EQ(run(std::move(request)).frames.front().raw, line(1));
  EXPECT_THAT(reshapes(), ElementsAre(Pair(2, 768)));
}

TEST_F(ReshapeTest, APromptThatLeavesNoRoomFailsWithTheNumbersAndABudgetIsBoundedByTheRoom) {
  script->answer = [](const std::vector<int>&, const std::string&) {
    std::string text;
    for (int i = 0; i < 300; ++i) text += std::to_string(i * i);
    return text;
  };
  const Result<GenerateResult> full = run(question_of(2049, 1));
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Errc::context_full);
  EXPECT_NE(full.error().message.find("the prompt has 2048 tokens and the context holds 2048"), std::string::npos)
      << full.error().message;
  EXPECT_THAT(reshapes(), IsEmpty());

  GenerateRequest tight = question_of(2048, 10);
  tight.max_tokens = 500;
  const GenerateResult result = run(tight).value();
  EXPECT_EQ(result.text.size(), 10u);
  EXPECT_EQ(result.stats.finish_reason, FinishReason::length);
}

TEST_F(ReshapeTest, WithoutMemoryTheRequestFailsAloneAndTheEngineGoesOn) {
  script->before_reshape = [](int, int context_tokens) {
    return context_tokens > 1000 ? Status(fail(Errc::out_of_memory, "no memory")) : Status();
  };
  Recorder recorder;
  Reply small;
  ASSERT_TRUE(engine->submit(frames(numbers_up_to(20)), recorder.observer()));
  EXPECT_EQ(run(question_of(1200)).error().code, Errc::out_of_memory);
  EXPECT_TRUE(run(question_of(700)));
  for (const FrameResult& frame : recorder.wait().frames) EXPECT_EQ(frame.status, FrameStatus::described);
}

TEST_F(ReshapeTest, AConversationThatWaitsForItsContextCanBeCancelled) {
  Gate gate;
  std::atomic<bool> held = false;
  script->before_step = [&](std::string_view step) -> Status {
    if (step == "decode" && !held.exchange(true)) gate.arrive();
    return {};
  };
  Recorder recorder;
  Reply waiting;
  ASSERT_TRUE(engine->submit(frames({1, 2}), recorder.observer()));
  gate.reached();
  const JobId job = engine->submit(question_of(600), waiting.on_done()).value();
  engine->cancel(job, {Errc::deadline_exceeded, "too late"});  // before the frames can end and make room for it
  gate.open();
  EXPECT_EQ(waiting.wait().error().code, Errc::deadline_exceeded);
  EXPECT_TRUE(recorder.wait().done);
}

// 4 slots of 512 tokens that may all become 2048 and are kept, as for one request of frames.
class GrowthTest : public ReshapeTest {
 protected:
  GrowthTest() {
    options.max_context_tokens = 2048;
    options.max_total_tokens = 4 * 2048;
    options.keep_larger_context = true;
    start(4, 512);
  }
  // A frame needs its prompt and twice the budget.
  static DescribeRequest frames_with(const std::vector<int>& numbers, int budget) {
    DescribeRequest request = frames(numbers);
    request.max_tokens = budget;
    return request;
  }
};

TEST_F(GrowthTest, ALargerFrameIsGivenItsRoomInAllSlotsAndThoseBehindItKeepIt) {
  for (const int budget : {100, 300, 310, 100, 900, 300, 100}) {
    EXPECT_EQ(run(frames_with({3, 4}, budget)).frames.back().raw, line(4));
  }
  EXPECT_THAT(reshapes(), ElementsAre(Pair(4, 768), Pair(4, 2048)));
}

TEST_F(GrowthTest, NothingThatRunsIsLost) {
  Gate gate;
  std::atomic<bool> held = false;
  script->before_step = [&](std::string_view step) -> Status {
    if (step == "decode" && !held.exchange(true)) gate.arrive();
    return {};
  };
  Recorder small;
  Recorder large;
  Recorder behind;
  ASSERT_TRUE(engine->submit(frames_with(numbers_up_to(3), 100), small.observer()));
  gate.reached();
  ASSERT_TRUE(engine->submit(frames_with({7}, 500), large.observer()));
  ASSERT_TRUE(engine->submit(frames_with({9}, 100), behind.observer()));
  gate.open();
  const Outcome outcome = small.wait();
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(outcome.frames[i].raw, line(static_cast<int>(i)));
  EXPECT_EQ(large.wait().frames.front().raw, line(7));
  EXPECT_EQ(behind.wait().frames.front().raw, line(9));
  EXPECT_EQ(reshapes().size(), 1);
}

TEST_F(GrowthTest, WithoutMemoryTheLargeFrameFailsAndTheOthersAreDescribedAsBefore) {
  script->before_reshape = [](int, int) { return Status(fail(Errc::out_of_memory, "no memory")); };
  EXPECT_EQ(run(frames_with({1}, 100)).frames.front().status, FrameStatus::described);
  const Outcome outcome = run(frames_with({2}, 900));
  EXPECT_EQ(outcome.frames.front().status, FrameStatus::failed);
  EXPECT_EQ(outcome.frames.front().error->code, Errc::out_of_memory);
  EXPECT_EQ(run(frames_with({3, 4}, 100)).frames.back().raw, line(4));
  EXPECT_THAT(reshapes(), IsEmpty());
}

TEST_F(ReshapeTest, LimitsThatContradictEachOtherAreRefusedAtTheStart) {
  options.max_total_tokens = 2047;
  const auto refused = Engine::start(std::make_unique<FakeBackend>(script, 4, 512), options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
}

TEST_F(ReshapeTest, WithoutATotalTheShapeStays) {
  options.max_total_tokens = 0;
  start(4, 512);
  EXPECT_EQ(run(question_of(600, 1)).error().code, Errc::context_full);
  EXPECT_TRUE(run(question_of(600, 200))) << "the budget is bounded by the room";
  EXPECT_THAT(reshapes(), IsEmpty());
}

}  // namespace
}  // namespace escribano::engine
