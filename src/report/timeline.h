#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "report/report.h"

namespace escribano::report {

struct Total {
  std::string name;
  double seconds = 0;
};

// Time of the segments by activity. The longest first, then by name.
std::vector<Total> totals_by_activity(std::span<const Segment> segments);
// By main app, which is the first of a segment's list: so no second is counted twice. Segments without an app are in none.
std::vector<Total> totals_by_app(std::span<const Segment> segments);

struct Stretch {
  double start_s = 0;
  double end_s = 0;
};

// How long the timeline is: the recording, and whatever lies beyond its length. 0 where nothing is known.
double timeline_length_s(const Report& report);
// What segments cover, in order and without overlaps: those that meet are one stretch.
std::vector<Stretch> covered(std::span<const Segment> segments);
// What of [0, length_s] `covered` leaves out. Stretches under 10 ms are rounding and not listed.
std::vector<Stretch> gaps(std::span<const Stretch> covered, double length_s);
// Positions of at most about `count` labels at round times, the first at 0.
std::vector<double> axis_ticks(double length_s, int count);

// Frames first to last (indices into Report::observations) that are shown as one: a frame with its own text, or unchanged ones
// that follow each other and have the same source.
struct FrameGroup {
  std::size_t first = 0;
  std::size_t last = 0;
};
// The groups of each segment, and at the end those of frames that lie in none. A frame belongs to the segment that it lies
// in, the very last instant to the last one.
std::vector<std::vector<FrameGroup>> frames_by_segment(const Report& report);

}  // namespace escribano::report
