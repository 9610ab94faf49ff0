#include "engine/plan/attempt.h"

#include <algorithm>

namespace escribano::engine {
namespace {

constexpr std::size_t kMaxPeriod = 48;
constexpr std::size_t kMinRepeats = 4;
constexpr std::size_t kMinLoopTokens = 32;
constexpr int kMaxAttempts = 2;

}  // namespace

std::optional<Loop> find_loop(std::span<const std::int32_t> output) {
  for (std::size_t period = 1; period <= kMaxPeriod && period * kMinRepeats <= output.size(); ++period) {
    std::size_t start = output.size() - period;
    while (start > 0 && output[start - 1] == output[start - 1 + period]) --start;
    const std::size_t length = output.size() - start;
    if (length >= kMinLoopTokens && length >= period * kMinRepeats) return Loop{.start = start, .period = period};
  }
  return std::nullopt;
}

std::optional<Retry> plan_retry(const AttemptState& state) {
  using Outcome = AttemptState::Outcome;
  if (state.attempts >= kMaxAttempts) return std::nullopt;
  const int more = std::min(2 * state.max_tokens, state.room_tokens);
  switch (state.outcome) {
    case Outcome::parsed: return std::nullopt;
    case Outcome::truncated:
      if (more <= state.max_tokens) return std::nullopt;
      return Retry{.kind = Retry::Kind::extend, .max_tokens = more};
    case Outcome::looping: return Retry{.kind = Retry::Kind::break_loop, .max_tokens = more};
    case Outcome::unparsed:
      if (state.constrained) return std::nullopt;
      return Retry{.kind = Retry::Kind::constrain, .max_tokens = more};
  }
  return std::nullopt;
}

}  // namespace escribano::engine
