// Frames that were seen before: what they cost, and that nobody can tell from their text.
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine_fixture.h"
#include "support/temp_folder.h"

namespace escribano::engine {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

class ReuseTest : public EngineTest {
 protected:
  // Counts what is asked of the model, apart from encoding, which the script itself records.
  void count_steps() {
    script->before_step = [this](std::string_view step) -> Status {
      if (step == "prefill") ++prefills;
      if (step == "decode") ++decodes;
      return {};
    };
  }

  static std::vector<Reuse> reuses(const Outcome& outcome) {
    std::vector<Reuse> all;
    for (const FrameResult& frame : outcome.frames) all.push_back(frame.stats.reused);
    return all;
  }

  int prefills = 0;
  int decodes = 0;
};

TEST_F(ReuseTest, AFrameThatWasDescribedBeforeCostsTheModelNothing) {
  count_steps();
  start(2);
  const Outcome first = run(request({5, 6}));
  const int prefills_before = prefills;
  const int decodes_before = decodes;
  const Outcome again = run(request({6, 5}));
  EXPECT_THAT(script->encoded, ElementsAre(5, 6));
  EXPECT_EQ(prefills, prefills_before);
  EXPECT_EQ(decodes, decodes_before);
  EXPECT_THAT(reuses(again), Each(Reuse::duplicate));
  ASSERT_EQ(again.frames.size(), 2u);
  EXPECT_EQ(again.frames[1].description, first.frames[0].description);
  EXPECT_EQ(again.frames[1].raw, first.frames[0].raw);
  const FrameStats& stats = again.frames[1].stats;
  EXPECT_EQ(stats.generation_tokens, 0);
  EXPECT_EQ(stats.prompt_tokens, 0);
  EXPECT_EQ(stats.encode_ms + stats.prefill_ms + stats.decode_ms, 0);
  EXPECT_EQ(stats.image_tokens, first.frames[0].stats.image_tokens);
  EXPECT_EQ(engine->counters().images_reused, 2u);
  EXPECT_EQ(engine->counters().frames_described, 4u);
}

TEST_F(ReuseTest, EqualFramesOfOneRequestWaitForTheFirstOfThem) {
  options.image_workers = 3;
  start(4);
  std::vector<int> numbers;
  for (int i = 0; i < 60; ++i) numbers.push_back(i / 4 % 5);
  const Outcome outcome = run(request(numbers));
  ASSERT_EQ(outcome.frames.size(), 60u);
  EXPECT_EQ(script->encoded.size(), 5u);
  EXPECT_EQ(engine->counters().images_reused, 55u);
  for (std::size_t i = 0; i < numbers.size(); ++i) EXPECT_EQ(outcome.frames[i].raw, line(numbers[i]));
}

TEST_F(ReuseTest, TextsAreTheSameWithAndWithoutReuse) {
  const std::vector<int> numbers = {1, 1, 2, 1, 3, 2, 2, 1};
  std::vector<std::vector<std::string>> texts;
  for (const bool reuse : {true, false}) {
    if (!reuse) options.answer_cache_bytes = options.embedding_cache_bytes = 0;
    start(3);
    std::vector<std::string>& raw = texts.emplace_back();
    for (const FrameResult& frame : run(request(numbers)).frames) raw.push_back(frame.raw);
    EXPECT_EQ(engine->counters().images_encoded, reuse ? 3u : 8u);
  }
  EXPECT_EQ(texts[0], texts[1]);
}

TEST_F(ReuseTest, AfterARestartTheVisionTowerIsNotAskedAgain) {
  const TempFolder folder;
  options.embedding_folder = {.path = folder.path() / "embeddings", .identity = "fake", .limit_bytes = 1 << 20};
  start(2);
  const Outcome first = run(request({5, 6}));
  engine.reset();
  int prepared = 0;
  script->before_prepare = [&] { ++prepared; };
  start(2);
  const Outcome again = run(request({6, 5, 7}));
  EXPECT_THAT(script->encoded, ElementsAre(5, 6, 7));
  EXPECT_EQ(prepared, 1);
  EXPECT_THAT(reuses(again), ElementsAre(Reuse::cache, Reuse::cache, Reuse::none));
  ASSERT_EQ(again.frames.size(), 3u);
  EXPECT_EQ(again.frames[0].raw, first.frames[1].raw);
  EXPECT_EQ(again.frames[1].raw, first.frames[0].raw);
  EXPECT_EQ(engine->counters().images_reused, 2u);
}

TEST_F(ReuseTest, ARequestCanAskForTheWholeModelToRun) {
  start(2);
  DescribeRequest whole = request({5, 5});
  whole.reuse = false;
  EXPECT_THAT(reuses(run(whole)), Each(Reuse::none));
  EXPECT_THAT(reuses(run(whole)), Each(Reuse::none));
  EXPECT_THAT(script->encoded, ElementsAre(5, 5, 5, 5));
}

TEST_F(ReuseTest, AnotherQuestionIsNotADuplicate) {
  start(1);
  run(request({5}));
  DescribeRequest other = request({5});
  other.prompt = "Describe this.";
  EXPECT_THAT(reuses(run(other)), ElementsAre(Reuse::cache));
  other = request({5});
  other.max_tokens = 400;
  EXPECT_THAT(reuses(run(other)), ElementsAre(Reuse::cache));
  other = request({5});
  other.sampling = {.temperature = 0.5F, .seed = 1};
  EXPECT_THAT(reuses(run(other)), ElementsAre(Reuse::cache));
  other.sampling.seed = 2;
  EXPECT_THAT(reuses(run(other)), ElementsAre(Reuse::cache));
  other = request({5});
  other.constrained = false;
  EXPECT_THAT(reuses(run(other)), ElementsAre(Reuse::cache));
  other = request({5});
  other.strategy = Strategy::interleaved;
  EXPECT_THAT(reuses(run(other)), ElementsAre(Reuse::cache));
}

TEST_F(ReuseTest, AnAnswerWithoutTheFormIsNotGivenAgain) {
  script->answer = [](const std::vector<int>&, const std::string&) { return "I see a screen."; };
  start(1);
  DescribeRequest free = request({5, 5});
  free.constrained = false;
  const Outcome outcome = run(std::move(free));
  EXPECT_THAT(reuses(outcome), ElementsAre(Reuse::none, Reuse::cache));
}

TEST_F(ReuseTest, WhereTheFirstOneFailsTheNextIsDescribedAndTheOthersHaveItsAnswer) {
  bool failed = false;
  script->before_step = [&](std::string_view step) -> Status {
    if (step != "encode" || std::exchange(failed, true)) return {};
    return fail(Errc::inference_failed, "no");
  };
  start(2);
  const Outcome outcome = run(request({5, 5, 5, 5}));
  ASSERT_EQ(outcome.frames.size(), 4u);
  EXPECT_EQ(outcome.frames[0].status, FrameStatus::failed);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(outcome.frames[i].raw, line(5));
  EXPECT_THAT(reuses(outcome), ElementsAre(Reuse::none, Reuse::none, Reuse::duplicate, Reuse::duplicate));
}

// The third of four equal frames comes out of the image stage while the first one fails: the second one is before it.
TEST_F(ReuseTest, WhoeverHasWaitedLongestTakesTheFirstOnesPlace) {
  Gate fourth;
  Gate fifth;
  int prepared = 0;
  script->before_prepare = [&] {
    ++prepared;
    if (prepared == 4) fourth.arrive();
    if (prepared == 5) fifth.arrive();
  };
  int encoded = 0;
  script->before_step = [&](std::string_view step) -> Status {
    if (step != "encode") return {};
    ++encoded;
    if (encoded == 1) fourth.reached();
    if (encoded != 2) return {};
    fourth.open();
    fifth.reached();
    fifth.open();
    return fail(Errc::inference_failed, "no");
  };
  start(2);
  const Outcome outcome = run(request({6, 5, 5, 5, 7}));
  EXPECT_THAT(reuses(outcome), ElementsAre(Reuse::none, Reuse::none, Reuse::none, Reuse::duplicate, Reuse::none));
}

TEST_F(ReuseTest, WhereTheFirstOneIsCancelledTheOtherRequestIsDescribed) {
  Gate encoding;
  bool first = true;
  script->before_step = [&](std::string_view step) -> Status {
    if (step == "encode" && std::exchange(first, false)) encoding.arrive();
    return {};
  };
  start(2);
  Recorder cancelled;
  const JobId job = engine->submit(request({5}), cancelled.observer()).value();
  encoding.reached();
  Recorder waiting;
  ASSERT_TRUE(engine->submit(request({5, 5}), waiting.observer()));
  engine->cancel(job);
  encoding.open();
  EXPECT_EQ(cancelled.wait().done.error().code, Errc::cancelled);
  const Outcome outcome = waiting.wait();
  ASSERT_EQ(outcome.frames.size(), 2u);
  EXPECT_EQ(outcome.frames[0].raw, line(5));
  EXPECT_EQ(outcome.frames[1].raw, line(5));
  EXPECT_EQ(outcome.frames[1].stats.reused, Reuse::duplicate);
}

TEST_F(ReuseTest, AWaitingDuplicateGoesWithItsRequest) {
  Gate decoding;
  bool first = true;
  script->before_step = [&](std::string_view step) -> Status {
    if (step == "decode" && std::exchange(first, false)) decoding.arrive();
    return {};
  };
  start(2);
  Recorder running;
  ASSERT_TRUE(engine->submit(request({5}), running.observer()));
  decoding.reached();
  Recorder cancelled;
  const JobId job = engine->submit(request({5, 5}), cancelled.observer()).value();
  engine->cancel(job);
  decoding.open();
  EXPECT_EQ(cancelled.wait().done.error().code, Errc::cancelled);
  EXPECT_EQ(running.wait().frames.at(0).raw, line(5));
}

}  // namespace
}  // namespace escribano::engine
