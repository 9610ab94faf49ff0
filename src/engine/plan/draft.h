// Drafts: guesses at what a sequence will say next, taken from texts that are like it, for the model to check several
// tokens in one step. A draft only ever decides how many rows a step has, never which token is chosen.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace escribano::engine {

// How far a text that is being written has come in another one that is like it. Pure.
class TextCursor {
 public:
  // Goes on by the tokens that were written since the last call; `text` may have grown or shrunk meanwhile. Where the two
  // part, it looks for the longest run of last tokens (up to 8) in `text`, of equally long ones for the nearest, ahead
  // before behind; where there is none, a word is taken to stand for another.
  void follow(std::span<const std::int32_t> text, std::span<const std::int32_t> written);

  // Where in the text the next token would be found.
  std::size_t place() const noexcept { return place_; }
  // How many tokens before it are the last ones written.
  std::size_t matched() const noexcept { return matched_; }
  // How much its continuation is worth, 0 (a guess) to kTrustLevels - 1 (every token so far was the same, and
  // there were several).
  int trust() const noexcept;

 private:
  void step(std::span<const std::int32_t> text, std::span<const std::int32_t> written);

  std::size_t place_ = 0;
  std::size_t matched_ = 0;
  std::size_t followed_ = 0;  // tokens written that were looked at
};

inline constexpr int kTrustLevels = 7;

// How often the next token of a draft turned out right, of late, for each level of trust. Deterministic.
class DraftAcceptance {
 public:
  DraftAcceptance();
  // Of a draft, `accepted` tokens were right, and `tested` were looked at: the first wrong one, too, and none after it.
  void note(int trust, int accepted, int tested);
  // The estimate that a token is right if all before it were; above 0 and below 1.
  double rate(int trust) const noexcept;

 private:
  struct Level {
    double accepted;
    double tested;
  };
  std::array<Level, kTrustLevels> levels_;
};

// What can be drafted for one sequence of a step.
struct DraftOffer {
  int tokens = 0;
  double acceptance = 0;  // as DraftAcceptance::rate
};

// How many rows each of `slots` slots should have in the next step (those that only fill a gap count as well), at most
// `most_rows`: as many as make the expected number of tokens for the cost the largest, at a cost of `step_cost_rows`
// (Backend::step_cost_rows) plus the rows. 1, which is no draft, unless that is worth at least 5 % more. Pure. Few
// different numbers come out, because llama.cpp builds its graph anew for each.
int rows_per_slot(std::span<const DraftOffer> offers, int slots, int most_rows, double step_cost_rows);

}  // namespace escribano::engine
