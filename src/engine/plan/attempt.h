#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace escribano::engine {

// A stretch of output that repeats itself: tokens [start, end of output) have the given period.
struct Loop {
  std::size_t start = 0;
  std::size_t period = 0;

  friend bool operator==(const Loop&, const Loop&) = default;
};

// Whether the output ends in a repetition loop: the last tokens repeat a period of at most 48 tokens at least 4 times,
// over at least 32 tokens. Lists and rulers in real answers stay below that. Looks at a bounded tail; pure.
std::optional<Loop> find_loop(std::span<const std::int32_t> output);

// How one more attempt at an answer differs from the last.
struct Retry {
  enum class Kind {
    extend,      // truncated: go on from where it stopped, up to max_tokens
    break_loop,  // looping: back to the end of the first period, and another token there
    constrain,   // unparsed: again from the end of the prompt, with the format enforced
  };
  Kind kind = Kind::extend;
  int max_tokens = 0;  // output budget from now on

  friend bool operator==(const Retry&, const Retry&) = default;
};

struct AttemptState {
  enum class Outcome { parsed, truncated, looping, unparsed };
  Outcome outcome = Outcome::parsed;
  int attempts = 1;     // made so far
  int max_tokens = 0;   // budget of this attempt
  int room_tokens = 0;  // output tokens that the context could hold in all
  bool constrained = true;
};

// Whether to try again, and how. Pure. One retry at most; nothing where there is no more room than before.
std::optional<Retry> plan_retry(const AttemptState& state);

}  // namespace escribano::engine
