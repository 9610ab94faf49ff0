// What the parallel strategy promises: a frame's text does not depend on the frames described with it. Shown on the demo
// model for texts, and below them for the logits, bit for bit.
#include <algorithm>
#include <cstring>
#include <future>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "engine/core/prompt.h"
#include "engine/plan/planner.h"
#include "format/prompts.h"
#include "image/resize.h"
#include "support/demo_model.h"

namespace escribano::engine {
namespace {

constexpr int kContextTokens = 1024;

std::vector<std::filesystem::path> frames_32() {
  std::vector<std::filesystem::path> frames = sample_frames();
  EXPECT_EQ(frames.size(), 32u);
  return frames;
}

std::vector<std::string> texts(Engine& engine, const std::vector<std::filesystem::path>& frames,
                               Sampling sampling = {}) {
  DescribeRequest request;
  request.sampling = sampling;
  for (const auto& frame : frames) request.frames.push_back({.path = frame});
  std::vector<std::string> texts;
  for (const FrameResult& result : describe(engine, std::move(request))) {
    EXPECT_EQ(result.status, FrameStatus::described);
    texts.push_back(result.raw);
  }
  return texts;
}

TEST(BatchInvariance, TextsAreTheSameAloneWithoutDraftsAndByFourAndThirtyTwoWithThem) {
  const std::vector<std::filesystem::path> frames = frames_32();
  std::vector<std::string> alone;
  {
    const auto engine = start_demo_engine(1, kContextTokens, 0, /*drafts=*/false);
    for (const auto& frame : frames) alone.push_back(texts(*engine, {frame}).front());
  }
  EXPECT_GE(std::set<std::string>(alone.begin(), alone.end()).size(), 8u)
      << "the frames must differ for this to prove anything";
  EXPECT_EQ(texts(*start_demo_engine(32, kContextTokens), frames), alone);
  const auto by_four = start_demo_engine(4, kContextTokens);
  EXPECT_EQ(texts(*by_four, frames), alone);
  EXPECT_GT(by_four->counters().accepted_tokens, 0u) << "or this says nothing about drafts";
  const auto one_by_one = start_demo_engine(1, kContextTokens);
  alone.resize(6);
  EXPECT_EQ(texts(*one_by_one, {frames.begin(), frames.begin() + 6}), alone);
  EXPECT_GT(one_by_one->counters().accepted_tokens, 0u);
}

TEST(BatchInvariance, ShuffledFramesKeepTheirTexts) {
  std::vector<std::filesystem::path> frames = frames_32();
  const auto engine = start_demo_engine(8, kContextTokens);
  std::map<std::filesystem::path, std::string> expected;
  const std::vector<std::string> in_order = texts(*engine, frames);
  for (std::size_t i = 0; i < frames.size(); ++i) expected[frames[i]] = in_order[i];
  std::mt19937 random(7);
  for (int round = 0; round < 3; ++round) {
    std::shuffle(frames.begin(), frames.end(), random);
    const std::vector<std::string> shuffled = texts(*engine, frames);
    for (std::size_t i = 0; i < frames.size(); ++i) EXPECT_EQ(shuffled[i], expected[frames[i]]) << frames[i];
  }
}

TEST(BatchInvariance, HoldsAtATemperatureWithASeedToo) {
  std::vector<std::filesystem::path> frames = frames_32();
  frames.resize(8);
  const Sampling sampling = {.temperature = 0.8F, .seed = 5};
  const auto engine = start_demo_engine(8, kContextTokens);
  const std::vector<std::string> together = texts(*engine, frames, sampling);
  for (std::size_t i = 0; i < frames.size(); ++i) EXPECT_EQ(texts(*engine, {frames[i]}, sampling).front(), together[i]);
}

TEST(BatchInvariance, TextsAreTheSameBeforeAndAfterTheContextWasCutAnew) {
  std::vector<std::filesystem::path> frames = frames_32();
  frames.resize(6);
  const auto engine = start_demo_engine(4, kContextTokens, 4 * kContextTokens);
  const std::vector<std::string> before = texts(*engine, frames);

  // A long conversation takes the context of two slots; frames come while it runs, and afterwards.
  std::string filler;
  for (int i = 0; i < 400; ++i) filler += "0:00-1:00 coding | VS Code | project " + std::to_string(i) + "\n";
  GenerateRequest request{.messages = {{.role = "user", .parts = {filler}}}};
  while (engine->prompt_tokens(request).value() > 2 * kContextTokens - 400) {
    filler.resize(filler.size() * 9 / 10);
    request.messages[0].parts[0] = filler;
  }
  request.max_tokens = 200;
  ASSERT_GT(engine->prompt_tokens(request).value(), kContextTokens) << "it must not fit the slots of the frames";
  std::promise<GenerateResult> answered;
  ASSERT_TRUE(engine->submit(request, [&](const Result<GenerateResult>& r) { answered.set_value(r.value()); }));
  EXPECT_EQ(texts(*engine, frames), before);
  const GenerateResult beside_frames = answered.get_future().get();
  EXPECT_EQ(texts(*engine, frames), before);
  EXPECT_EQ(generate(*engine, request).text, beside_frames.text);
}

// The frames as they are, and each behind it at half of its size.
TEST(BatchInvariance, TextsAreTheSameInAContextThatGrewForThem) {
  DescribeRequest request;
  request.max_tokens = 100;
  for (int i = 0; i < 4; ++i) {
    const auto whole =
        std::make_shared<const Image>(load_image(frames_32()[static_cast<std::size_t>(7 * i)], {}).value());
    const Size half = {.width_px = whole->width_px / 2, .height_px = whole->height_px / 2};
    request.frames.insert(request.frames.begin() + i,
                          {.image = std::make_shared<const Image>(resize_bicubic(*whole, half))});
    request.frames.push_back({.image = whole});
  }
  const auto texts_of = [&](Engine& engine) {
    std::vector<std::string> texts;
    for (const FrameResult& result : describe(engine, request)) texts.push_back(result.raw);
    return texts;
  };
  const std::vector<std::string> expected = texts_of(*start_demo_engine(4, kContextTokens));
  EngineOptions options;
  options.answer_cache_bytes = 0;
  options.max_context_tokens = kContextTokens;
  options.max_total_tokens = 4 * kContextTokens;
  options.keep_larger_context = true;
  auto backend = load_demo_backend(4, 512);
  const Backend* seen = backend.get();
  options.pixel_rule = demo_pixel_rule();
  const auto engine = Engine::start(std::move(backend), options).value();
  EXPECT_EQ(texts_of(*engine), expected);
  EXPECT_EQ(seen->slots(), 4);
  EXPECT_GT(seen->context_tokens(), 512) << "or this says nothing";
  EXPECT_EQ(texts_of(*engine), expected) << "in the larger one";
}

// One frame in a slot of a backend, decoded greedily without any constraint.
struct Decoded {
  int slot = 0;
  Token next = 0;
  Position position = 0;
  std::vector<std::vector<float>> logits;  // of every step
};

class LogitsTest : public ::testing::Test {
 protected:
  ImageEmbedding encode(const std::filesystem::path& frame) {
    const Image image = load_image(frame, {}).value();
    const auto prepared =
        backend->prepare(resize_bicubic(image, model_image_size(image.size(), demo_pixel_rule()).value()));
    return backend->encode(**prepared).value();
  }

  Decoded prefill(int slot, const std::filesystem::path& frame) { return prefill(slot, encode(frame)); }

  Decoded prefill(int slot, const ImageEmbedding& embedding) {
    const Prompt prompt =
        build_user_turn(*backend, {ImagePart{0}, std::string(builtin_prompt(PromptKind::single))}).value();
    backend->truncate(slot, 0);
    Decoded decoded{.slot = slot};
    for (std::size_t i = 0; i < prompt.pieces.size(); ++i) {
      if (const auto* tokens = std::get_if<std::vector<Token>>(&prompt.pieces[i])) {
        EXPECT_TRUE(backend->prefill(slot, *tokens, decoded.position, i + 1 == prompt.pieces.size()));
        decoded.position += static_cast<Position>(tokens->size());
      } else {
        EXPECT_TRUE(backend->prefill(slot, embedding, decoded.position));
        decoded.position += embedding.positions;
      }
    }
    take(decoded, 0);
    return decoded;
  }

  static Token token_after(std::span<const float> logits) {
    return static_cast<Token>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }

  void take(Decoded& decoded, int row) {
    const std::span<const float> logits = backend->logits(row);
    decoded.logits.emplace_back(logits.begin(), logits.end());
    decoded.next = token_after(logits);
  }

  // Steps of several rows a slot, as drafts make them: of each sequence its tokens, all but the first `right` of which are
  // replaced by wrong ones. Expects the logits that `known` had, as far as the tokens are right.
  void expect_known(std::vector<Decoded*> sequences, const Decoded& known, std::size_t begin, int rows_per_slot,
                    int right) {
    std::vector<int> slots;
    for (const Decoded* sequence : sequences) slots.push_back(sequence->slot);
    const std::vector<PlannedRow> plan = decode_rows(slots, std::max(2, backend->slots()), rows_per_slot);
    std::vector<DecodeRow> rows;
    for (const PlannedRow& row : plan) {
      rows.push_back({.slot = row.slot, .position = row.ahead});
      if (row.sequence < 0) continue;
      const Decoded& sequence = *sequences[static_cast<std::size_t>(row.sequence)];
      const Token token = token_after(known.logits[begin + static_cast<std::size_t>(row.ahead)]);
      rows.back() = {
          .slot = row.slot, .token = row.ahead < right ? token : token + 1, .position = sequence.position + row.ahead};
    }
    ASSERT_TRUE(backend->decode(rows));
    for (std::size_t i = 0; i < plan.size(); ++i) {
      if (plan[i].sequence < 0) {
        backend->truncate(plan[i].slot, 0);
        continue;
      }
      Decoded& sequence = *sequences[static_cast<std::size_t>(plan[i].sequence)];
      if (plan[i].ahead < right) {
        const std::span<const float> logits = backend->logits(static_cast<int>(i));
        const std::vector<float>& expected = known.logits[begin + static_cast<std::size_t>(plan[i].ahead) + 1];
        ASSERT_EQ(std::memcmp(logits.data(), expected.data(), logits.size_bytes()), 0)
            << rows_per_slot << " rows a slot, slot " << plan[i].slot << ", row " << plan[i].ahead;
      }
      if (plan[i].ahead + 1 != rows_per_slot) continue;
      sequence.position += right;
      backend->truncate(sequence.slot, sequence.position);
    }
  }

  void decode(std::vector<Decoded*> sequences, int steps) {
    for (int step = 0; step < steps; ++step) {
      std::vector<int> slots;
      for (const Decoded* sequence : sequences) slots.push_back(sequence->slot);
      const std::vector<PlannedRow> plan = decode_rows(slots, std::max(2, backend->slots()));
      std::vector<DecodeRow> rows;
      for (const PlannedRow& row : plan) {
        rows.push_back({.slot = row.slot});
        if (row.sequence < 0) continue;
        const Decoded& sequence = *sequences[static_cast<std::size_t>(row.sequence)];
        rows.back().token = sequence.next;
        rows.back().position = sequence.position;
      }
      ASSERT_TRUE(backend->decode(rows));
      for (std::size_t i = 0; i < plan.size(); ++i) {
        if (plan[i].sequence < 0) {
          backend->truncate(plan[i].slot, 0);
          continue;
        }
        Decoded& sequence = *sequences[static_cast<std::size_t>(plan[i].sequence)];
        ++sequence.position;
        take(sequence, static_cast<int>(i));
      }
    }
  }

  std::unique_ptr<Backend> backend;
};

void expect_same_bits(const Decoded& a, const Decoded& b, std::size_t steps) {
  for (std::size_t step = 0; step < steps; ++step) {
    ASSERT_EQ(a.logits[step].size(), b.logits[step].size());
    ASSERT_EQ(std::memcmp(a.logits[step].data(), b.logits[step].data(), a.logits[step].size() * sizeof(float)), 0)
        << "step " << step;
  }
}

TEST_F(LogitsTest, AreTheSameBitForBitInAnyCompany) {
  const std::vector<std::filesystem::path> frames = frames_32();
  constexpr int kSteps = 24;
  Decoded alone;
  {
    backend = load_demo_backend(1, kContextTokens);
    alone = prefill(0, frames[10]);
    decode({&alone}, kSteps);
  }
  backend = load_demo_backend(6, 4096, kTwoThreads);  // another context size and number of threads, too
  Decoded first = prefill(0, frames[2]);
  Decoded gap_left = prefill(1, frames[20]);
  Decoded again = prefill(3, frames[10]);
  Decoded last = prefill(5, frames[30]);
  decode({&first, &gap_left, &again, &last}, kSteps / 2);
  backend->truncate(0, 0);
  decode({&gap_left, &again}, kSteps / 4);
  decode({&again}, kSteps / 4);
  expect_same_bits(alone, again, kSteps + 1);

  // And in a slot that has been used before.
  Decoded reused = prefill(1, frames[10]);
  decode({&reused}, kSteps);
  expect_same_bits(alone, reused, kSteps + 1);
}

TEST_F(LogitsTest, AreTheSameBitForBitWhenSeveralTokensOfASequenceAreDecodedAtOnce) {
  constexpr int kSteps = 46;
  backend = load_demo_backend(4, kContextTokens);
  const ImageEmbedding frame = encode(frames_32()[10]);
  Decoded known = prefill(0, frame);
  decode({&known}, kSteps);
  struct Shape {
    int rows;
    int right;
  };
  for (const int sequences : {1, 3}) {
    Decoded first = prefill(0, frame);
    Decoded gap_left = prefill(sequences == 1 ? 0 : 1, frame);
    Decoded last = prefill(sequences == 1 ? 0 : 3, frame);
    std::vector<Decoded*> running = {&first};
    if (sequences == 3) running = {&first, &gap_left, &last};
    std::size_t at = 0;
    for (const Shape shape : {Shape{2, 1}, Shape{3, 3}, Shape{16, 5}, Shape{7, 7}, Shape{13, 2}, Shape{16, 16}}) {
      expect_known(running, known, at, shape.rows, shape.right);
      at += static_cast<std::size_t>(shape.right);
    }
  }
  Decoded alone = prefill(2, frame);
  expect_known({&alone}, known, 0, kSteps, kSteps);
}

}  // namespace
}  // namespace escribano::engine
