#pragma once

// A stretch of time and what was said of it, which can be compared and joined. Private to this folder.

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "pipeline/look.h"

namespace escribano {

class Stretch {
 public:
  enum Kind : std::uint8_t { activity, main_app, app, topic, project };

  Stretch(const Look& look, double seconds);

  double seconds() const noexcept { return seconds_; }

  // Adds what was said of a neighbour; costs what the smaller of both holds.
  void join(Stretch&& other);

  // How alike two stretches are, from 0 (nothing in common) to 13.
  friend double similarity(const Stretch& a, const Stretch& b);
  // Whether both are the same work: one activity in one app on one thing. Where no project is named, other topics make
  // other work only if both stretches last at least `settled_s` and stay with their topic: models change their words
  // from frame to frame.
  friend bool same_work(const Stretch& a, const Stretch& b, double settled_s);

 private:
  static constexpr std::size_t kKinds = 5;
  struct Best {
    NameId id = 0;
    double seconds = 0;
  };

  void add(Kind kind, NameId id, double seconds);
  double of(std::uint64_t key) const noexcept;
  // Share of what `a` says of `kind` that `b` says for at least a tenth of its time.
  static double covered(const Stretch& a, const Stretch& b, Kind kind);
  static double overlap(const Stretch& a, const Stretch& b, Kind kind);
  bool settled(Kind kind, double settled_s) const noexcept;

  std::unordered_map<std::uint64_t, double> said_;  // kind and name to seconds
  std::array<Best, kKinds> best_{};
  std::array<double, kKinds> total_s_{};
  double seconds_ = 0;
  std::size_t looks_ = 1;
};

}  // namespace escribano
