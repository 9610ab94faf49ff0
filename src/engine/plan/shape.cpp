#include "engine/plan/shape.h"

#include <algorithm>
#include <cstdint>

#include <fmt/core.h>

namespace escribano::engine {
namespace {

constexpr int kStepTokens = 256;  // llama.cpp pads a context to this

int steps_up(int tokens) { return (tokens + kStepTokens - 1) / kStepTokens * kStepTokens; }
int steps_down(int tokens) { return tokens / kStepTokens * kStepTokens; }

// Where a larger context is kept: a quarter more than there is at least, as far as all slots can have it.
Shape grown(const ShapeState& state, const ShapeLimits& limits) {
  Shape shape = shape_for(state.needed_tokens, limits);
  if (shape.slots != limits.normal.slots || state.present.slots != limits.normal.slots) return shape;
  const int most = std::min(limits.largest_context_tokens(), steps_down(limits.max_total_tokens / shape.slots));
  const int quarter_more = steps_up(state.present.context_tokens + state.present.context_tokens / 4);
  shape.context_tokens = std::max(shape.context_tokens, std::min(quarter_more, most));
  return shape;
}

}  // namespace

int ShapeLimits::largest_context_tokens() const noexcept {
  const int limit = std::min(max_context_tokens, max_total_tokens);
  return std::max(normal.context_tokens, steps_down(limit));
}

std::string ShapeLimits::problem() const {
  if (max_total_tokens == 0) return {};
  if (normal.slots < 1 || normal.slots > 255 || normal.context_tokens < 1) {
    return fmt::format("the context is to have {} sequences of {} tokens; 1 to 255 are possible", normal.slots,
                       normal.context_tokens);
  }
  if (normal.context_tokens > max_context_tokens) {
    return fmt::format("a context of {} tokens is more than the {} allowed", normal.context_tokens, max_context_tokens);
  }
  if (std::int64_t{normal.slots} * normal.context_tokens > max_total_tokens) {
    return fmt::format("{} sequences of {} tokens are more than the {} tokens allowed", normal.slots,
                       normal.context_tokens, max_total_tokens);
  }
  return {};
}

Shape shape_for(int needed_tokens, const ShapeLimits& limits) {
  const int needed = std::min(needed_tokens, limits.largest_context_tokens());
  if (needed <= limits.normal.context_tokens) return limits.normal;
  const int context = steps_up(needed);
  return {.slots = std::clamp(limits.max_total_tokens / context, 1, limits.normal.slots), .context_tokens = context};
}

ShapePlan plan_shape(const ShapeState& state, const ShapeLimits& limits) {
  using Action = ShapePlan::Action;
  if (limits.max_total_tokens == 0) return {.action = Action::admit, .shape = {}};
  const int normal = limits.normal.context_tokens;
  const bool fits = state.needed_tokens <= state.present.context_tokens;
  const bool kept = limits.keep_larger && state.present.slots == limits.normal.slots;
  const bool back = state.present != limits.normal && !kept && state.needed_tokens <= normal &&
                    state.longest_running_tokens <= normal;
  if (fits && !back) return {.action = Action::admit, .shape = {}};
  if (state.running > 0) return {.action = Action::wait, .shape = {}};
  return {.action = Action::reshape,
          .shape = limits.keep_larger ? grown(state, limits) : shape_for(state.needed_tokens, limits)};
}

}  // namespace escribano::engine
