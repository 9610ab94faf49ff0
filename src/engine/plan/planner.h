#pragma once

#include <optional>
#include <span>
#include <vector>

namespace escribano::engine {

// Everything the planner may know about a sequence that holds a slot: counters, no content.
struct SequenceCounters {
  int slot = 0;
  int images_to_encode = 0;   // before the next piece of its prompt can be prefilled
  int pieces_to_prefill = 0;  // runs of text and images of its prompt that are not yet in the context
};

struct EngineState {
  int slots = 0;
  int ready = 0;                          // prompts whose images are prepared and that wait for a slot
  std::vector<SequenceCounters> running;  // sequences that hold a slot
};

struct StepPlan {
  enum class Action {
    wait,     // nothing to do until something arrives
    admit,    // give `slot` to the next ready prompt
    encode,   // run the vision tower on the next image of `sequence`
    prefill,  // put the next piece of the prompt of `sequence` into its slot
    decode,   // one token for every sequence whose prompt is complete
  };
  Action action = Action::wait;
  int sequence = -1;  // index into EngineState::running (encode, prefill)
  int slot = -1;      // (admit)

  friend bool operator==(const StepPlan&, const StepPlan&) = default;
};

// What to do next. Pure.
//
// A step of decoding costs nearly the same for 1 sequence as for 8 (docs/performance.md), so slots are filled before
// anything is decoded, and a slot that comes free is filled again at once; the lowest free slot goes first, which keeps
// the rows of a decode step together.
StepPlan plan_step(const EngineState& state);

// One row of a decode step.
struct PlannedRow {
  int slot = 0;
  int sequence = -1;  // index into `decoding_slots`; -1 is padding
  int ahead = 0;      // which row of its slot: 0 for the last token, more for those of its draft

  friend bool operator==(const PlannedRow&, const PlannedRow&) = default;
};

// The rows of a decode step over the sequences in `decoding_slots` (ascending, not empty) of `streams` slots (at least
// 2): `rows_per_slot` for every slot from the first to the last, with padding for those that have nothing to decode, and
// always two rows at least. One row alone and a step with gaps would go through other kernels of the CPU backend (dot products in place of
// matrix products, attention split over threads) whose sums are rounded otherwise; with these rows, a sequence's logits
// are the same bit for bit in any company.
std::vector<PlannedRow> decode_rows(std::span<const int> decoding_slots, int streams, int rows_per_slot = 1);

}  // namespace escribano::engine
