#include "engine/plan/planner.h"

#include <algorithm>
#include <cstddef>

namespace escribano::engine {
namespace {

std::optional<int> lowest_free_slot(const EngineState& state) {
  for (int slot = 0; slot < state.slots; ++slot) {
    const bool taken =
        std::any_of(state.running.begin(), state.running.end(), [&](const auto& s) { return s.slot == slot; });
    if (!taken) return slot;
  }
  return std::nullopt;
}

}  // namespace

StepPlan plan_step(const EngineState& state) {
  using Action = StepPlan::Action;
  for (std::size_t i = 0; i < state.running.size(); ++i) {
    const SequenceCounters& sequence = state.running[i];
    if (sequence.images_to_encode > 0) return {.action = Action::encode, .sequence = static_cast<int>(i)};
    if (sequence.pieces_to_prefill > 0) return {.action = Action::prefill, .sequence = static_cast<int>(i)};
  }
  if (state.ready > 0) {
    if (const auto slot = lowest_free_slot(state)) return {.action = Action::admit, .slot = *slot};
  }
  if (!state.running.empty()) return {.action = Action::decode};
  return {.action = Action::wait};
}

std::vector<PlannedRow> decode_rows(std::span<const int> decoding_slots, int streams, int rows_per_slot) {
  int first = decoding_slots.front();
  int last = decoding_slots.back();
  if (first == last && rows_per_slot == 1) {
    if (last + 1 < streams) {
      ++last;
    } else {
      --first;
    }
  }
  std::vector<PlannedRow> rows;
  rows.reserve((static_cast<std::size_t>(last) - static_cast<std::size_t>(first) + 1) *
               static_cast<std::size_t>(rows_per_slot));
  std::size_t next = 0;
  for (int slot = first; slot <= last; ++slot) {
    const bool decoding = next < decoding_slots.size() && decoding_slots[next] == slot;
    const int sequence = decoding ? static_cast<int>(next++) : -1;
    for (int ahead = 0; ahead < rows_per_slot; ++ahead) {
      rows.push_back({.slot = slot, .sequence = sequence, .ahead = ahead});
    }
  }
  return rows;
}

}  // namespace escribano::engine
