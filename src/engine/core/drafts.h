#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "engine/backend.h"
#include "engine/core/unit.h"
#include "engine/plan/draft.h"

namespace escribano::engine {

// Says what to draft in each decode step, from the texts of frames described before, those that are being written beside
// it, and the words of the answer format. Kept across requests: the frames of a recording come in many. Engine thread
// only.
class Drafts {
 public:
  // At most `most_tokens` a sequence and step; 0 turns drafting off.
  Drafts(const Backend& backend, int most_tokens);

  // What one sequence of a step says beyond its last token.
  struct Draft {
    std::vector<Token> tokens;  // likely ones, more of them perhaps than the step has rows for
    int trust = 0;
    std::size_t begin = 0;  // of the output: where they would go
  };
  struct Step {
    int rows = 1;               // of each slot
    std::vector<Draft> drafts;  // one for each sequence
  };
  // For a step of `sequences` that takes `slots` slots, gaps included, of `context_tokens` each.
  Step plan(std::span<Sequence* const> sequences, int slots, int context_tokens);

  // After the step: learns from what the sequence wrote, and counts in its statistics.
  void note(Sequence& sequence, const Draft& draft, int rows);

  // Keeps a finished answer for the frames that follow, if it is of a kind that drafts are made for.
  void remember(const Sequence& sequence);

 private:
  struct Text {
    std::uint64_t id = 0;
    std::uint64_t kind = 0;
    std::vector<Token> tokens;
  };
  Draft draft(Sequence& sequence, std::span<Sequence* const> sequences) const;

  int most_tokens_;
  double step_cost_rows_;
  std::vector<Token> format_words_;  // negative where the answer's own words go
  std::deque<Text> texts_;           // the last one used first
  DraftAcceptance acceptance_;
};

}  // namespace escribano::engine
