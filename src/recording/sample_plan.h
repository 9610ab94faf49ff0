#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "domain/recording.h"

namespace escribano::recording {

// Which instants of a recording are looked at, as numbers: no file, no decoder. Times are whole milliseconds from the first
// frame on.

// A key frame at which much of the picture changed.
struct SceneCandidate {
  std::int64_t at_ms = 0;
  double score = 0;  // share of the picture that changed, 0 to 1
};

struct Timeline {
  std::int64_t last_ms = 0;  // when the last frame appears
  std::int64_t end_ms = 0;   // when it goes; not before last_ms
};

struct PlannedInstant {
  std::int64_t at_ms = 0;
  SampleReason reason = SampleReason::interval;

  friend bool operator==(const PlannedInstant&, const PlannedInstant&) = default;
};

// The instants in order, each once, the first at 0. The anchors are the first frame, the scene changes and the last frame;
// between two anchors that are a gap g apart, and from the last frame to the end, lie ceil(g / interval) - 1 instants at
// multiples of the interval after the earlier anchor. As the anchors do not depend on the interval, a longer interval never
// gives more instants.
// A candidate counts with a score of at least scene_threshold, and where it is not nearer than scene_min_interval_s to the
// scene change before, or to 0. `candidates` are in order of time. Expects valid options; fails with too_large where more
// than max_frames would be planned, before they are.
Result<std::vector<PlannedInstant>> plan_samples(const Timeline& timeline, std::span<const SceneCandidate> candidates,
                                                 const SamplingOptions& options);

// The instants that stand in for `lost` ones between the readable times from_ms and to_ms (exclusive): every gap_fill_s, and
// none where the gap is not longer than max(gap_threshold_s, interval_s). More may be given than were lost: of those that can
// be read, keep_spacing_ms() says how many.
std::vector<std::int64_t> plan_gap(std::int64_t from_ms, std::int64_t to_ms, const SamplingOptions& options);

// How far apart those of plan_gap that are kept have to be, so that they are not more than `lost` and spread evenly.
std::int64_t keep_spacing_ms(std::int64_t from_ms, std::int64_t to_ms, std::size_t lost);

}  // namespace escribano::recording
