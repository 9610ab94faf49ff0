// How observations become segments.
//
// 1. Those with text are put in order of time; each stands for the time to the next one (portions). What they say
//    becomes numbers: a known activity, apps and topics under one name each, the project that the description names
//    (look.h).
// 2. From left to right, portions of the same work become runs (same_work in stretch.h), and then runs that differ
//    only in passing words.
// 3. While a run is shorter than the minimum, the shortest, the earliest of equals, joins the neighbour it resembles
//    more; of equally like ones the longer, then the one before. Whatever has become the same work as its new neighbour
//    joins it too. So a wrong frame inside long work vanishes in it, and a change of work between two segments stays
//    where it was first seen.
// 4. Each run is told by the portions in it (portrait in look.h).
//
// Each run's sums are kept in a hash table and the smaller of two is added to the larger, the shortest run comes from a
// heap: n observations cost O(n log² n).
#include "pipeline/segments.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <deque>
#include <functional>
#include <queue>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "pipeline/look.h"
#include "pipeline/stretch.h"

namespace escribano {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// A run: a stretch with its place among the portions and its neighbours in time.
struct Run {
  Stretch said;
  double start_s = 0;
  double end_s = 0;
  std::size_t first = 0;  // portions [first, last)
  std::size_t last = 0;
  std::size_t before = kNone;
  std::size_t behind = kNone;
  std::size_t joins = 0;  // so many times changed: older entries of the heap are void
  bool gone = false;

  double seconds() const noexcept { return end_s - start_s; }
};

struct Timed {
  Portion portion;
  double start_s = 0;
};

std::vector<Timed> portions_of(std::span<const Observation> observations, double duration_s, Looks& looks,
                               std::deque<Look>& kept) {
  std::vector<const Observation*> telling;
  for (const Observation& observation : observations) {
    if (std::isfinite(observation.timestamp_s) && has_text(observation)) telling.push_back(&observation);
  }
  std::sort(telling.begin(), telling.end(), [](const Observation* a, const Observation* b) {
    const auto order = [](const Observation& o) {
      return std::tie(o.timestamp_s, o.position, o.status, o.description, o.activity, o.apps, o.topics);
    };
    return order(*a) < order(*b);
  });
  std::vector<Timed> timed;
  double start_s = 0;
  for (std::size_t i = 0; i < telling.size(); ++i) {
    const bool last = i + 1 == telling.size();
    const double end_s = last ? duration_s : std::clamp(telling[i + 1]->timestamp_s, 0.0, duration_s);
    if (end_s <= start_s) continue;
    kept.push_back(looks.look(*telling[i]));
    timed.push_back({{telling[i], &kept.back(), end_s - start_s}, start_s});
    start_s = end_s;
  }
  return timed;
}

class Runs {
 public:
  explicit Runs(double min_s) : min_s_(min_s) {}

  void append(const Timed& timed, std::size_t index) {
    Stretch said(*timed.portion.look, timed.portion.seconds);
    const double end_s = timed.start_s + timed.portion.seconds;
    if (!runs_.empty() && same_work(runs_.back().said, said, 0)) {
      Run& run = runs_.back();
      run.said.join(std::move(said));
      run.end_s = end_s;
      run.last = index + 1;
      return;
    }
    Run run{.said = std::move(said), .start_s = timed.start_s, .end_s = end_s, .first = index, .last = index + 1};
    if (!runs_.empty()) {
      run.before = runs_.size() - 1;
      runs_.back().behind = runs_.size();
    }
    runs_.push_back(std::move(run));
  }

  // The end of each run is the beginning of the next, without what adding up has rounded.
  void close(double duration_s) {
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      runs_[i].end_s = i + 1 < runs_.size() ? runs_[i + 1].start_s : duration_s;
    }
  }

  void join_alike() {
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      if (!runs_[i].gone) join_same_work(i);
    }
  }

  void join_short_ones() {
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      if (!runs_[i].gone) push(i);
    }
    while (!shortest_.empty()) {
      const Entry entry = shortest_.top();
      shortest_.pop();
      Run& run = runs_[entry.index];
      if (run.gone || run.joins != entry.joins || run.seconds() >= min_s_) continue;
      const std::size_t neighbour = better_neighbour(run);
      if (neighbour == kNone) return;
      std::size_t joined = join(std::min(entry.index, neighbour), std::max(entry.index, neighbour));
      joined = join_same_work(joined);
      push(joined);
    }
  }

  template <class Visit>
  void for_each(Visit visit) const {
    for (const Run& run : runs_) {
      if (!run.gone) visit(run);
    }
  }

 private:
  struct Entry {
    double seconds = 0;
    std::size_t index = 0;
    std::size_t joins = 0;
    bool operator>(const Entry& other) const {
      return std::tie(seconds, index, joins) > std::tie(other.seconds, other.index, other.joins);
    }
  };

  void push(std::size_t index) {
    if (runs_[index].seconds() < min_s_) shortest_.push({runs_[index].seconds(), index, runs_[index].joins});
  }

  std::size_t better_neighbour(const Run& run) const {
    if (run.before == kNone || run.behind == kNone) return run.before == kNone ? run.behind : run.before;
    const double before = similarity(runs_[run.before].said, run.said);
    const double behind = similarity(run.said, runs_[run.behind].said);
    constexpr double kEqual = 1e-9;
    if (std::abs(before - behind) > kEqual) return before > behind ? run.before : run.behind;
    const double longer = runs_[run.behind].seconds() - runs_[run.before].seconds();
    return longer > kEqual ? run.behind : run.before;
  }

  // Runs are joined into the earlier one, so that their indices stay in order of time.
  std::size_t join(std::size_t left, std::size_t right) {
    Run& into = runs_[left];
    Run& from = runs_[right];
    into.said.join(std::move(from.said));
    into.end_s = from.end_s;
    into.last = from.last;
    into.behind = from.behind;
    if (from.behind != kNone) runs_[from.behind].before = left;
    from.gone = true;
    ++into.joins;
    return left;
  }

  std::size_t join_same_work(std::size_t index) {
    for (;;) {
      const Run& run = runs_[index];
      if (run.before != kNone && same_work(runs_[run.before].said, run.said, min_s_)) {
        index = join(run.before, index);
      } else if (run.behind != kNone && same_work(run.said, runs_[run.behind].said, min_s_)) {
        index = join(index, run.behind);
      } else {
        return index;
      }
    }
  }

  double min_s_;
  std::vector<Run> runs_;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> shortest_;
};

}  // namespace

std::string SegmentOptions::key() const { return fmt::format("segments 1; min_segment_s {}", min_segment_s); }

std::vector<Segment> segment(std::span<const Observation> observations, double duration_s,
                             const SegmentOptions& options) {
  if (!std::isfinite(duration_s) || duration_s <= 0) return {};
  Looks looks;
  std::deque<Look> kept;  // whose elements stay where they are
  const std::vector<Timed> timed = portions_of(observations, duration_s, looks, kept);
  if (timed.empty()) return {portrait({}, 0, duration_s, looks)};

  Runs runs(options.min_segment_s);
  for (std::size_t i = 0; i < timed.size(); ++i) runs.append(timed[i], i);
  runs.close(duration_s);
  runs.join_alike();
  runs.join_short_ones();

  std::vector<Portion> portions;
  portions.reserve(timed.size());
  for (const Timed& t : timed) portions.push_back(t.portion);
  std::vector<Segment> segments;
  runs.for_each([&](const Run& run) {
    const std::span<const Portion> own(portions.data() + run.first, run.last - run.first);
    segments.push_back(portrait(own, run.start_s, run.end_s, looks));
  });
  return segments;
}

}  // namespace escribano
