#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <span>

#include "base/error.h"
#include "engine/backend.h"
#include "engine/engine.h"
#include "format/line_grammar.h"

namespace escribano::engine {

// Chooses tokens for one sequence. Not thread-safe; one for each sequence.
class Sampler {
 public:
  // `salt` is mixed into the seed (the hash of the frame's pixels), so that a frame's choices do not depend on where it
  // stands in a request.
  Sampler(const Sampling& sampling, const Vocabulary& vocabulary, std::uint64_t salt);

  // The next token: the most likely one, or one drawn at the temperature. With a grammar only tokens that it accepts (and
  // an end-of-turn token only where it can end). `banned` is left out. One pass over the vocabulary; the grammar is asked
  // only about tokens that beat the best one so far. Fails with inference_failed if the logits are not numbers or no
  // token is allowed.
  Result<Token> pick(std::span<const float> logits, const LineGrammar* grammar, std::optional<Token> banned);

 private:
  Result<Token> pick_greedy(std::span<const float> logits, const LineGrammar* grammar, std::optional<Token> banned);
  Result<Token> pick_random(std::span<const float> logits, const LineGrammar* grammar, std::optional<Token> banned);
  bool allowed(Token token, const LineGrammar* grammar, std::optional<Token> banned) const;

  const Vocabulary* vocabulary_;
  float temperature_;
  std::mt19937_64 random_;
};

}  // namespace escribano::engine
