#pragma once

#include <span>
#include <string>
#include <vector>

#include "domain/recording.h"

namespace escribano {

struct SegmentOptions {
  double min_segment_s = 30;  // a shorter stretch joins the neighbour it resembles more; at least 0

  std::string key() const;  // equal texts and equal observations give equal segments
};

// The segments of a recording of `duration_s`. They cover [0, duration_s] without gaps or overlaps, each is longer than
// nothing, and all but a lone one last at least min_segment_s. Empty only where the duration is 0 or less.
//
// An observation stands for the time from its frame to the next one; the first also for the time before it. Those
// without text (pending, failed, unparsed) say nothing: their time belongs to the observation before, or after where
// there is none. Observations may come in any order, at equal times, and beyond the duration. Without any text there is
// one segment "other". Pure: equal input gives equal segments.
std::vector<Segment> segment(std::span<const Observation> observations, double duration_s,
                             const SegmentOptions& options);

}  // namespace escribano
