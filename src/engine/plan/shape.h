#pragma once

#include <string>

namespace escribano::engine {

// How the memory of the context is cut: so many sequences of so many tokens each.
struct Shape {
  int slots = 0;
  int context_tokens = 0;  // of one slot

  friend bool operator==(const Shape&, const Shape&) = default;
};

struct ShapeLimits {
  Shape normal;                // what is used whenever it suffices
  int max_context_tokens = 0;  // of one slot
  int max_total_tokens = 0;    // slots * context_tokens is never more; 0 means that the shape is fixed
  bool keep_larger = false;    // a larger context that costs no slot is not given back

  // The largest context that one prompt with its answer can get: the normal one, or as many multiples of 256 tokens as
  // the limits allow. Pure.
  int largest_context_tokens() const noexcept;
  // What contradicts itself, in a sentence; empty if nothing does. Pure.
  std::string problem() const;
};

// The shape for a prompt and answer of `needed_tokens`: the normal one if it suffices, else the smallest multiple of 256
// tokens that does (at most largest_context_tokens()), with as many slots as the total allows, 1 at least and the normal
// number at most. Pure.
Shape shape_for(int needed_tokens, const ShapeLimits& limits);

struct ShapeState {
  Shape present;
  int running = 0;                 // sequences that hold a slot
  int longest_running_tokens = 0;  // what the largest of them needs
  int needed_tokens = 0;           // by the prompt that is next in the queue, with its answer
};

struct ShapePlan {
  enum class Action {
    admit,    // the next prompt can be given a slot as soon as one is free
    wait,     // nothing may be admitted until the running sequences have ended
    reshape,  // to `shape`; nothing runs
  };
  Action action = Action::admit;
  Shape shape;

  friend bool operator==(const ShapePlan&, const ShapePlan&) = default;
};

// Whether the context fits the next prompt. Pure.
//
// A change of shape forgets all sequences, so it waits until none runs, and the queue waits behind the prompt that
// needs it: nobody starves. Short prompts are admitted beside long ones, but once only such run as the normal shape could
// hold, the context goes back to it: else a long queue of frames would be done in the few slots of one long prompt.
//
// With keep_larger a context that has all slots stays as large as it is, and grows by a quarter at least: frames that are
// each a little larger than the one before do not have it made anew one by one.
ShapePlan plan_shape(const ShapeState& state, const ShapeLimits& limits);

}  // namespace escribano::engine
