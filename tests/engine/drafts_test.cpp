// Drafts over a fake model: what is written is the same with them and without, in fewer steps.
#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine_fixture.h"

namespace escribano::engine {
namespace {

class DraftsTest : public EngineTest {
 protected:
  // The texts of two requests, one after the other, and what the engine counted.
  struct Written {
    std::vector<std::string> texts;
    std::vector<int> attempts;
    EngineCounters counters;
  };
  Written write(int slots, int draft_tokens, const DescribeRequest& request, int context_tokens = 4096) {
    options.draft_tokens = draft_tokens;
    options.answer_cache_bytes = 0;  // frames that come again are written again
    start(slots, context_tokens);
    Written written;
    for (int time = 0; time < 2; ++time) {
      for (const FrameResult& frame : run(DescribeRequest(request)).frames) {
        written.texts.push_back(frame.raw);
        written.attempts.push_back(frame.stats.attempts);
      }
    }
    written.counters = engine->counters();
    return written;
  }

  void expect_the_same(int slots, const DescribeRequest& request, int context_tokens = 4096) {
    const Written without = write(slots, 0, request, context_tokens);
    const Written with = write(slots, kMaxSlotRows - 1, request, context_tokens);
    EXPECT_EQ(with.texts, without.texts);
    EXPECT_EQ(with.attempts, without.attempts);
    EXPECT_EQ(with.counters.generation_tokens, without.counters.generation_tokens);
    EXPECT_EQ(without.counters.drafted_tokens, 0u);
    EXPECT_GT(with.counters.accepted_tokens, 0u);
    // With several slots it also depends on when their pictures were ready.
    if (slots == 1) {
      EXPECT_LT(with.counters.decode_steps, without.counters.decode_steps);
    }
  }
};

TEST_F(DraftsTest, TextsAreTheSameInFewerStepsWhateverRunsBesideThem) {
  for (const int slots : {1, 2, 4, 9}) expect_the_same(slots, request(numbers_up_to(40)));
}

TEST_F(DraftsTest, AFrameLikeTheOneBeforeTakesAFewSteps) {
  options.answer_cache_bytes = 0;  // the frame that comes again is written again
  start(1);
  run(request({1}));
  const std::uint64_t before = engine->counters().decode_steps;
  const FrameResult again = run(request({1})).frames.front();
  EXPECT_EQ(again.raw, line(1));
  EXPECT_LE(engine->counters().decode_steps - before, line(1).size() / 8);
  EXPECT_GT(again.stats.accepted_tokens, static_cast<int>(line(1).size()) * 3 / 4);
  EXPECT_LE(again.stats.accepted_tokens, again.stats.drafted_tokens);
}

TEST_F(DraftsTest, TheFirstFrameOfAllIsDraftedFromTheWordsOfTheFormat) {
  start(1);
  EXPECT_GT(run(request({1})).frames.front().stats.accepted_tokens, 10);
}

TEST_F(DraftsTest, TruncatedAnswersGoOnAsTheyWould) {
  for (const std::size_t budget : {line(1).size() / 2 + 2, line(1).size() / 4}) {
    DescribeRequest short_of_room = request({1, 1, 2, 2, 1});
    short_of_room.max_tokens = static_cast<int>(budget);
    expect_the_same(2, short_of_room);
  }
}

TEST_F(DraftsTest, ASlotThatIsNearlyFullLimitsTheRowsOfAll) {
  // The fake model has one token a byte, so the prompt and the longest answer are known to the token.
  DescribeRequest frames = request({1, 2, 3, 4, 5, 6});
  frames.max_tokens = static_cast<int>(line(1).size()) / 2 + 2;
  for (int context = 150; context < 175; ++context) expect_the_same(3, frames, context);
}

TEST_F(DraftsTest, ALoopIsBrokenAtTheSamePlace) {
  script->answer = [](const std::vector<int>& images, const std::string&) {
    if (images.empty() || images.front() % 2 == 0) return line(images.empty() ? 0 : images.front());
    std::string text = "description: ";
    for (int i = 0; i < 40; ++i) text += "so ";
    return text + line(images.front()).substr(13);
  };
  expect_the_same(2, request({1, 2, 1, 2, 3, 4}));
}

TEST_F(DraftsTest, RandomTextsAreThoseOfTheSeedAllTheSame) {
  DescribeRequest random = request({1, 1, 2, 2, 3, 3});
  random.sampling = {.temperature = 1.5F, .seed = 3};
  expect_the_same(2, random);
}

TEST_F(DraftsTest, TheyStopWhereTheyAreOfNoUse) {
  // Answers that have nothing in common but the format, in which hardly a pair of letters comes again.
  script->answer = [](const std::vector<int>& images, const std::string&) {
    std::string text;
    std::uint32_t state = (images.empty() ? 0U : static_cast<std::uint32_t>(images.front())) * 2654435761U + 7;
    for (int i = 0; i < 300; ++i) {
      state = state * 1664525U + 1013904223U;
      text += static_cast<char>('a' + state / 0x10000000U);
    }
    return "description: " + text + " | activity: a | apps: [a] | topics: [a]";
  };
  const DescribeRequest frames = request(numbers_up_to(40));
  const Written with = write(2, kMaxSlotRows - 1, frames);
  EXPECT_LT(with.counters.drafted_tokens, with.counters.generation_tokens / 4);
  const Written without = write(2, 0, frames);
  EXPECT_EQ(with.texts, without.texts);
}

TEST_F(DraftsTest, TheMoreAStepCostsTheMoreIsDrafted) {
  // Of every text some words are those of the one before.
  script->answer = [](const std::vector<int>& images, const std::string&) {
    const int number = images.empty() ? 0 : images.front();
    std::string text;
    for (int word = 0; word < 40; ++word) {
      text += (number * 7 + word * 3) % 5 < 2 ? std::to_string(number * 31 + word) + " " : "word ";
    }
    return "description: " + text + "| activity: a | apps: [a] | topics: [t]";
  };
  const DescribeRequest frames = request(numbers_up_to(30));
  const Written without = write(4, 0, frames);
  std::uint64_t last = without.counters.decode_steps;
  for (const double cost : {1, 12, 60}) {
    script->step_cost_rows = cost;
    const Written written = write(4, kMaxSlotRows - 1, frames);
    EXPECT_EQ(written.texts, without.texts);
    EXPECT_LT(written.counters.decode_steps, last) << cost;
    last = written.counters.decode_steps;
  }
}

TEST_F(DraftsTest, AnotherQuestionAnInterleavedPromptAndAConversationGetNone) {
  start(2);
  run(request({1, 1, 1}));
  const std::uint64_t before = engine->counters().drafted_tokens;
  DescribeRequest interleaved = request({1, 1, 1});
  interleaved.strategy = Strategy::interleaved;
  run(std::move(interleaved));
  script->answer = [](const std::vector<int>&, const std::string&) { return line(1); };
  EXPECT_TRUE(run(question("Describe.")));
  EXPECT_EQ(engine->counters().drafted_tokens, before);
}

TEST_F(DraftsTest, AStepThatFailsIsTheFailureOfItsFramesAndTheNextOnesAreDescribed) {
  std::atomic<int> decodes = 0;
  script->before_step = [&](std::string_view step) -> Status {
    if (step == "decode" && ++decodes == 4) return fail(Errc::inference_failed, "out of order");
    return {};
  };
  start(2);
  const Outcome outcome = run(request(std::vector<int>(8, 1)));
  const auto failed = std::count_if(outcome.frames.begin(), outcome.frames.end(),
                                    [](const FrameResult& frame) { return frame.status == FrameStatus::failed; });
  EXPECT_GE(failed, 1);
  EXPECT_LE(failed, 2) << "those that had a part in the step";
  EXPECT_EQ(outcome.frames.back().raw, line(1));
}

}  // namespace
}  // namespace escribano::engine
