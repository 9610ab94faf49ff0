#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "domain/recording.h"

namespace escribano {

// Small generator with the same numbers everywhere.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed * 2654435769U + 1) {}
  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ * 2685821657736338717U >> 16;
  }
  int below(int end) { return static_cast<int>(next() % static_cast<std::uint64_t>(end)); }
  template <class List>
  const auto& pick(const List& list) {
    return list[static_cast<std::size_t>(below(static_cast<int>(std::size(list))))];
  }
  // Any bytes, line breaks, separators and marks among them more often than chance would have them.
  std::string text(int longest);

 private:
  std::uint64_t state_;
};

Observation described(double timestamp_s, std::string activity, std::vector<std::string> apps,
                      std::vector<std::string> topics, std::string description);

// A span of the sample recording's truth; of it the fields that say what was seen.
struct TruthSpan {
  double start_s = 0;
  double end_s = 0;
  std::string app;
  std::string project;
  std::string activity;
  Observation seen;  // at the span's beginning
};
std::vector<TruthSpan> sample_truth();
// What a model that makes no mistakes sees of the sample recording, one frame every `interval_s`.
std::vector<Observation> sample_observations(double interval_s);
double sample_duration_s();
// The segments that sample_observations() of 2 s give with a minimum of 5 s.
std::vector<Segment> sample_segments();

}  // namespace escribano
