#include "recording/sample_plan.h"

#include <algorithm>
#include <cmath>

namespace escribano::recording {
namespace {

constexpr std::int64_t kMicrosecondsPerMs = 1000;

// Whole numbers, so that every machine counts the same.
std::int64_t microseconds(double seconds) { return std::max<std::int64_t>(std::llround(seconds * 1e6), 0); }

// ceil(gap / step) - 1: how many multiples of the step lie inside the gap.
std::int64_t inside(std::int64_t gap_us, std::int64_t step_us) { return gap_us > 0 ? (gap_us - 1) / step_us : 0; }

std::vector<PlannedInstant> anchors_of(const Timeline& timeline, std::span<const SceneCandidate> candidates,
                                       const SamplingOptions& options) {
  const std::int64_t min_us = microseconds(options.scene_min_interval_s);
  std::vector<PlannedInstant> anchors = {{0, SampleReason::first}};
  for (const SceneCandidate& candidate : candidates) {
    const PlannedInstant& before = anchors.back();
    if (candidate.score < options.scene_threshold || candidate.at_ms <= before.at_ms) continue;
    if (candidate.at_ms >= timeline.last_ms) break;
    if ((candidate.at_ms - before.at_ms) * kMicrosecondsPerMs < min_us) continue;
    anchors.push_back({candidate.at_ms, SampleReason::scene});
  }
  if (timeline.last_ms > 0) anchors.push_back({timeline.last_ms, SampleReason::last});
  return anchors;
}

}  // namespace

Result<std::vector<PlannedInstant>> plan_samples(const Timeline& timeline, std::span<const SceneCandidate> candidates,
                                                 const SamplingOptions& options) {
  const std::vector<PlannedInstant> anchors = anchors_of(timeline, candidates, options);
  const std::int64_t step_us = std::max<std::int64_t>(microseconds(options.interval_s), kMicrosecondsPerMs);
  const auto gap_us = [&](std::size_t i) {
    const std::int64_t next_ms = i + 1 < anchors.size() ? anchors[i + 1].at_ms : timeline.end_ms;
    return (next_ms - anchors[i].at_ms) * kMicrosecondsPerMs;
  };

  std::uint64_t count = anchors.size();
  for (std::size_t i = 0; i < anchors.size(); ++i) count += static_cast<std::uint64_t>(inside(gap_us(i), step_us));
  if (count > options.max_frames) {
    return fail(Errc::too_large, "{} frames at an interval of {} s; the limit is {}", count, options.interval_s,
                options.max_frames);
  }

  std::vector<PlannedInstant> plan;
  plan.reserve(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < anchors.size(); ++i) {
    plan.push_back(anchors[i]);
    const std::int64_t between = inside(gap_us(i), step_us);
    for (std::int64_t k = 1; k <= between; ++k) {
      // Rounded down: k steps are less than the gap, so this stays before the next anchor.
      plan.push_back({anchors[i].at_ms + k * step_us / kMicrosecondsPerMs, SampleReason::interval});
    }
  }
  return plan;
}

std::vector<std::int64_t> plan_gap(std::int64_t from_ms, std::int64_t to_ms, const SamplingOptions& options) {
  const std::int64_t gap_us = (to_ms - from_ms) * kMicrosecondsPerMs;
  if (gap_us <= microseconds(std::max(options.gap_threshold_s, options.interval_s))) return {};
  const std::int64_t step_us = std::max<std::int64_t>(microseconds(options.gap_fill_s), kMicrosecondsPerMs);
  std::vector<std::int64_t> instants;
  for (std::int64_t k = 1; k <= inside(gap_us, step_us); ++k) {
    instants.push_back(from_ms + k * step_us / kMicrosecondsPerMs);
  }
  return instants;
}

std::int64_t keep_spacing_ms(std::int64_t from_ms, std::int64_t to_ms, std::size_t lost) {
  const auto parts = static_cast<std::int64_t>(lost) + 1;
  return (to_ms - from_ms + parts - 1) / parts;
}

}  // namespace escribano::recording
