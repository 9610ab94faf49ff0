// Conversations on the engine over a fake model, alone and beside frames.
#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine_fixture.h"

namespace escribano::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class GenerateTest : public EngineTest {
 protected:
  GenerateTest() {
    // Frames are described as ever, questions are answered by what was asked.
    script->answer = [](const std::vector<int>& images, const std::string& text) {
      if (text.find("Describe.") != std::string::npos) return line(images.front());
      std::string answer = "You asked: " + text;
      for (const int number : images) answer += " [" + std::to_string(number) + "]";
      return answer;
    };
  }
  static std::string answer_to(const std::string& question) {
    return "You asked: {im_start}user\n" + question + "{im_end}\n{im_start}assistant\n";
  }
  // Holds the engine at the first `step`.
  void hold(std::string step) {
    script->before_step = [this, step = std::move(step)](std::string_view now) -> Status {
      if (now == step && !held.exchange(true)) gate.arrive();
      return {};
    };
  }

  std::atomic<bool> held = false;
  Gate gate;
};

TEST_F(GenerateTest, AConversationIsAnsweredFromItsTextAndItsImagesInOrder) {
  start(2);
  const auto picture = [](int number) { return FrameInput{.image = std::make_shared<Image>(numbered_image(number))}; };
  GenerateRequest request;
  request.messages = {{.role = "system", .parts = {"S"}},
                      {.role = "user", .parts = {picture(4), "one", picture(2)}},
                      {.role = "assistant", .parts = {"A"}},
                      {.role = "user", .parts = {picture(4), "two"}}};
  const GenerateResult result = run(std::move(request)).value();
  const std::string image = "{vision_start}{vision_end}";
  EXPECT_EQ(result.text, "You asked: {im_start}system\nS{im_end}\n{im_start}user\n" + image + "one" + image +
                             "{im_end}\n{im_start}assistant\nA{im_end}\n{im_start}user\n" + image +
                             "two{im_end}\n{im_start}assistant\n [4] [2] [4]");
  EXPECT_EQ(result.stats.finish_reason, FinishReason::stop);
  EXPECT_EQ(result.stats.generation_tokens, static_cast<int>(result.text.size()) + 1);
  EXPECT_THAT(script->encoded, ElementsAre(4, 2)) << "the picture that comes again is not encoded again";
}

TEST_F(GenerateTest, ATextAloneIsAnsweredAndCounted) {
  start(2);
  const GenerateResult result = run(question("Why?")).value();
  EXPECT_EQ(result.text, answer_to("Why?"));
  EXPECT_EQ(result.stats.prompt_tokens, engine->prompt_tokens(question("Why?")).value());
  const EngineCounters counters = engine->counters();
  EXPECT_EQ(counters.generations, 1u);
  EXPECT_EQ(counters.queued_frames, 0);
  EXPECT_EQ(counters.frames_described + counters.frames_failed + counters.frames_unparsed, 0u);
}

TEST_F(GenerateTest, AFormattedPromptIsGivenToTheModelAsItIs) {
  start(1);
  GenerateRequest request;
  request.formatted_prompt = "<|im_start|>assistant\nSo";
  EXPECT_EQ(run(request).value().text, "You asked: {im_start}assistant\nSo");
}

TEST_F(GenerateTest, ATextThatTheBudgetCutsOffIsAResultWithoutASecondAttempt) {
  start(1);
  script->answer = [](const std::vector<int>&, const std::string&) { return std::string("abcdéf"); };
  GenerateRequest request = question("?");
  request.max_tokens = 3;
  GenerateResult result = run(request).value();
  EXPECT_EQ(result.text, "abc");
  EXPECT_EQ(result.stats.finish_reason, FinishReason::length);
  EXPECT_EQ(result.stats.generation_tokens, 3);
  request.max_tokens = 5;
  EXPECT_EQ(run(request).value().text, "abcd") << "half a character is left out";
  request.max_tokens = 1;
  EXPECT_EQ(run(request).value().text, "a");
}

TEST_F(GenerateTest, ALoopIsReportedWithinTheBudget) {
  script->answer = [](const std::vector<int>&, const std::string&) { return std::string(4000, 'a'); };
  start(1);
  GenerateRequest request = question("?");
  request.max_tokens = 100;
  const GenerateResult result = run(request).value();
  EXPECT_EQ(result.stats.finish_reason, FinishReason::loop);
  EXPECT_LE(result.text.size(), 100u);
}

TEST_F(GenerateTest, AnImageThatCannotBeLoadedFailsTheRequestWithItsOwnError) {
  start(1);
  GenerateRequest request = question("?", {1});
  request.messages[0].parts.emplace_back(FrameInput{.path = "/nonexistent.png"});
  EXPECT_EQ(run(request).error().code, Errc::not_found);
  request.messages[0].parts.erase(request.messages[0].parts.begin() + 1);
  EXPECT_EQ(run(request).error().code, Errc::not_found) << "also where there is no other image";
  EXPECT_THAT(script->encoded, IsEmpty());
  EXPECT_EQ(engine->counters().generations, 0u);
  EXPECT_EQ(engine->counters().frames_failed, 0u);
}

TEST_F(GenerateTest, AStepThatFailsFailsTheRequest) {
  script->before_step = [](std::string_view step) -> Status {
    return step == "prefill" ? Status(fail(Errc::inference_failed, "out of order")) : Status();
  };
  start(1);
  EXPECT_EQ(run(question("?")).error().message, "out of order");
}

TEST_F(GenerateTest, AModelWithoutVisionAnswersTextsAndRefusesImages) {
  script->has_vision = false;
  const auto refused = Engine::start(std::make_unique<FakeBackend>(script, 1, 512), options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::no_vision);

  options.text_only = true;
  start(2);
  EXPECT_EQ(run(question("Why?")).value().text, answer_to("Why?"));
  EXPECT_EQ(engine->submit(request({1}), {}).error().code, Errc::no_vision);
  EXPECT_EQ(engine->submit(question("?", {1}), {}).error().code, Errc::no_vision);
  EXPECT_EQ(engine->prompt_tokens(question("?", {1})).error().code, Errc::no_vision);
}

TEST_F(GenerateTest, RequestsThatMakeNoSenseAreRefusedWithTheReason) {
  start(1);
  EXPECT_EQ(engine->submit(GenerateRequest{}, {}).error().code, Errc::invalid_argument);
  GenerateRequest request = question("?");
  request.formatted_prompt = "too";
  EXPECT_EQ(engine->submit(request, {}).error().code, Errc::invalid_argument);
  request = question("?");
  request.messages[0].role = "tool";
  EXPECT_NE(engine->submit(request, {}).error().message.find("\"tool\""), std::string::npos);
  EXPECT_EQ(engine->prompt_tokens(request).error().code, Errc::invalid_argument);
  request = question("?");
  request.max_tokens = 0;
  EXPECT_NE(engine->submit(request, {}).error().message.find("budget"), std::string::npos);
  request = question("?");
  request.sampling.temperature = -1;
  EXPECT_NE(engine->submit(request, {}).error().message.find("temperature"), std::string::npos);
}

TEST_F(GenerateTest, PromptTokensAreCountedOnAnyThreadWhileTheEngineWorks) {
  start(2);
  Recorder frames;
  ASSERT_TRUE(engine->submit(request(numbers_up_to(50)), frames.observer()));
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) EXPECT_EQ(engine->prompt_tokens(question("Why?")).value(), 23);
    });
  }
  threads.clear();
  frames.wait();
}

TEST_F(GenerateTest, FramesAndConversationsShareTheSlotsAndKeepTheirAnswers) {
  options.image_workers = 2;
  start(3);
  Recorder frames;
  ASSERT_TRUE(engine->submit(request(numbers_up_to(200)), frames.observer()));
  std::vector<std::unique_ptr<Reply>> replies;
  for (int i = 0; i < 12; ++i) {
    replies.push_back(std::make_unique<Reply>());
    const std::vector<int> images = i % 2 == 0 ? std::vector<int>{} : std::vector<int>{i};
    ASSERT_TRUE(engine->submit(question("Question " + std::to_string(i), images), replies.back()->on_done()));
  }
  for (int i = 0; i < 12; ++i) {
    const std::string text = replies[static_cast<std::size_t>(i)]->wait().value().text;
    EXPECT_NE(text.find("Question " + std::to_string(i)), std::string::npos);
    EXPECT_EQ(text.ends_with(" [" + std::to_string(i) + "]"), i % 2 == 1) << text;
  }
  EXPECT_EQ(frames.done_calls(), 0) << "they did not wait for all of the frames";
  const Outcome outcome = frames.wait();
  ASSERT_EQ(outcome.frames.size(), 200u);
  for (std::size_t i = 0; i < 200; ++i) EXPECT_EQ(outcome.frames[i].raw, line(static_cast<int>(i)));
  EXPECT_EQ(engine->counters().generations, 12u);
}

TEST_F(GenerateTest, ARandomTextDependsOnTheSeedAndTheQuestionAndNotOnItsCompany) {
  start(4);
  const auto random = [](const std::string& text, std::uint32_t seed) {
    GenerateRequest request = question(text);
    request.sampling = {.temperature = 4, .seed = seed};
    request.max_tokens = 30;
    return request;
  };
  const std::string alone = run(random("Why?", 7)).value().text;
  Recorder frames;
  ASSERT_TRUE(engine->submit(request(numbers_up_to(50)), frames.observer()));
  EXPECT_EQ(run(random("Why?", 7)).value().text, alone);
  EXPECT_NE(run(random("Why?", 8)).value().text, alone);
  EXPECT_NE(run(random("How?", 7)).value().text, alone);
  frames.wait();
}

TEST_F(GenerateTest, TheReasonOfACancelReachesTheCaller) {
  start(1);
  hold("decode");
  Reply reply;
  const JobId job = engine->submit(question("?"), reply.on_done()).value();
  gate.reached();
  engine->cancel(job, {Errc::deadline_exceeded, "too late"});
  engine->cancel(job, {Errc::cancelled, "a second reason does not count"});
  gate.open();
  EXPECT_EQ(reply.wait().error(), (Error{Errc::deadline_exceeded, "too late"}));
  EXPECT_EQ(reply.calls(), 1);

  Recorder recorder;
  held = false;
  gate.open();
  const JobId frames = engine->submit(request(numbers_up_to(200)), recorder.observer()).value();
  recorder.wait_for_frames(1);
  engine->cancel(frames, {Errc::deadline_exceeded, "too late"});
  EXPECT_EQ(recorder.wait().done.error().code, Errc::deadline_exceeded);
}

TEST_F(GenerateTest, ACancelInterruptsAnEncodeOrPrefillOfTheRequest) {
  start(1);
  for (const std::string_view phase : {"encode", "prefill"}) {
    Gate reached;
    reached.open();
    script->before_step = [&](std::string_view step) -> Status {
      if (step != phase) return {};
      reached.arrive();
      backend->wait_for_interrupt([] { return false; });
      return fail(Errc::cancelled, "cancelled");
    };
    Reply reply;
    const JobId job = engine->submit(question("?", {phase == "encode" ? 1 : 2}), reply.on_done()).value();
    reached.reached();
    engine->cancel(job, {Errc::deadline_exceeded, "too late"});
    EXPECT_EQ(reply.wait().error().code, Errc::deadline_exceeded) << phase;
    script->before_step = [](std::string_view) { return Status(); };
    EXPECT_EQ(run(question("Why?")).value().text, answer_to("Why?")) << "the engine goes on";
  }
}

TEST_F(GenerateTest, ACancelDoesNotWaitForAnImageThatIsBeingLoaded) {
  start(1);
  script->before_prepare = [this] {
    if (!held.exchange(true)) gate.arrive();
  };
  Reply reply;
  const JobId job = engine->submit(question("?", {1}), reply.on_done()).value();
  gate.reached();
  engine->cancel(job);
  EXPECT_EQ(reply.wait().error().code, Errc::cancelled);
  gate.open();
  EXPECT_EQ(run(question("Why?")).value().text, answer_to("Why?"));
  EXPECT_EQ(reply.calls(), 1);
}

TEST_F(GenerateTest, ACancelTakesARequestOutOfTheQueue) {
  start(1);
  hold("decode");
  Reply first;
  Reply queued;
  ASSERT_TRUE(engine->submit(question("First"), first.on_done()));
  gate.reached();
  const JobId job = engine->submit(question("Second"), queued.on_done()).value();
  engine->cancel(job);
  gate.open();
  EXPECT_EQ(queued.wait().error().code, Errc::cancelled);
  EXPECT_EQ(first.wait().value().text, answer_to("First"));
}

TEST_F(GenerateTest, StoppingTheEngineEndsRunningAndQueuedConversations) {
  start(1);
  hold("decode");
  Reply running;
  Reply queued;
  ASSERT_TRUE(engine->submit(question("First"), running.on_done()));
  gate.reached();
  ASSERT_TRUE(engine->submit(question("Second", {1}), queued.on_done()));
  std::jthread opener([this] {
    // The engine is told to stop while it is held in the step.
    backend->wait_for_interrupt([] { return false; });
    gate.open();
  });
  engine.reset();
  EXPECT_EQ(running.wait().error().code, Errc::cancelled);
  EXPECT_EQ(queued.wait().error().code, Errc::cancelled);
  EXPECT_EQ(running.calls() + queued.calls(), 2);
}

TEST_F(GenerateTest, TheSizeOfTheEmbeddingCacheIsCounted) {
  options.embedding_cache_bytes = 10;  // two embeddings of the fake model
  start(1);
  EXPECT_TRUE(run(question("?", {1, 2, 3})));
  EXPECT_EQ(engine->counters().cache_bytes, 8u);
  EXPECT_EQ(engine->counters().cache_limit_bytes, 10u);
}

}  // namespace
}  // namespace escribano::engine
