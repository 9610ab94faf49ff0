#include "engine/core/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace escribano::engine {

Sampler::Sampler(const Sampling& sampling, const Vocabulary& vocabulary, std::uint64_t salt)
    : vocabulary_(&vocabulary), temperature_(sampling.temperature), random_(sampling.seed ^ salt) {}

bool Sampler::allowed(Token token, const LineGrammar* grammar, std::optional<Token> banned) const {
  if (token == banned) return false;
  if (grammar == nullptr) return true;
  if (vocabulary_->is_end(token)) return grammar->can_end();
  const std::string_view piece = vocabulary_->piece(token);
  return !piece.empty() && grammar->accepts(piece);
}

Result<Token> Sampler::pick(std::span<const float> logits, const LineGrammar* grammar, std::optional<Token> banned) {
  if (temperature_ > 0) return pick_random(logits, grammar, banned);
  return pick_greedy(logits, grammar, banned);
}

Result<Token> Sampler::pick_greedy(std::span<const float> logits, const LineGrammar* grammar,
                                   std::optional<Token> banned) {
  // Starting from the unconstrained best makes the common case one comparison a token and one question in all.
  float best = -std::numeric_limits<float>::infinity();
  Token token = -1;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > best) {
      best = logits[i];
      token = static_cast<Token>(i);
    } else if (std::isnan(logits[i])) {
      return fail(Errc::inference_failed, "the model's output is not a number");
    }
  }
  if (token < 0) return fail(Errc::inference_failed, "the model's output is not a number");
  if (allowed(token, grammar, banned)) return token;
  best = -std::numeric_limits<float>::infinity();
  token = -1;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > best && allowed(static_cast<Token>(i), grammar, banned)) {
      best = logits[i];
      token = static_cast<Token>(i);
    }
  }
  if (token < 0) return fail(Errc::inference_failed, "no token of the model's vocabulary fits the answer format here");
  return token;
}

Result<Token> Sampler::pick_random(std::span<const float> logits, const LineGrammar* grammar,
                                   std::optional<Token> banned) {
  float highest = -std::numeric_limits<float>::infinity();
  for (const float value : logits) {
    if (std::isnan(value)) return fail(Errc::inference_failed, "the model's output is not a number");
    highest = std::max(highest, value);
  }
  std::vector<double> weights(logits.size());
  double total = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    weights[i] = std::exp(static_cast<double>(logits[i] - highest) / static_cast<double>(temperature_));
    total += weights[i];
  }
  // Drawing again whenever the grammar says no gives the distribution over what it allows, and asks it a few times only.
  for (int draw = 0; draw < 64 && total > 0; ++draw) {
    // 53 random bits as a number in [0, 1): the standard distributions differ between libraries.
    double at = static_cast<double>(random_() >> 11) * 0x1.0p-53 * total;
    std::size_t i = 0;
    while (i + 1 < weights.size() && at >= weights[i]) at -= weights[i++];
    if (weights[i] > 0 && allowed(static_cast<Token>(i), grammar, banned)) return static_cast<Token>(i);
    total -= weights[i];
    weights[i] = 0;
  }
  return pick_greedy(logits, grammar, banned);
}

}  // namespace escribano::engine
