#include "report/timeline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "base/utf8.h"

namespace escribano::report {
namespace {

constexpr double kRoundingS = 0.01;

double length_of(const Segment& segment) {
  const double length = segment.end_s - segment.start_s;
  return std::isfinite(length) ? std::max(0.0, length) : 0;
}

std::vector<Total> sorted(const std::map<std::string, double>& seconds) {
  std::vector<Total> totals;
  totals.reserve(seconds.size());
  for (const auto& [name, value] : seconds) totals.push_back({name, value});
  std::stable_sort(totals.begin(), totals.end(), [](const Total& a, const Total& b) { return a.seconds > b.seconds; });
  return totals;
}

}  // namespace

std::vector<Total> totals_by_activity(std::span<const Segment> segments) {
  std::map<std::string, double> seconds;
  for (const Segment& segment : segments) seconds[to_valid_utf8(segment.activity)] += length_of(segment);
  return sorted(seconds);
}

std::vector<Total> totals_by_app(std::span<const Segment> segments) {
  std::map<std::string, double> seconds;
  for (const Segment& segment : segments) {
    if (!segment.apps.empty()) seconds[to_valid_utf8(segment.apps.front())] += length_of(segment);
  }
  return sorted(seconds);
}

double timeline_length_s(const Report& report) {
  double length = report.recording.info.duration_s;
  for (const Segment& segment : report.segments) length = std::max(length, segment.end_s);
  for (const Observation& observation : report.observations) length = std::max(length, observation.timestamp_s);
  return length;
}

std::vector<Stretch> covered(std::span<const Segment> segments) {
  std::vector<Stretch> stretches;
  for (const Segment& segment : segments) stretches.push_back({segment.start_s, segment.end_s});
  std::sort(stretches.begin(), stretches.end(),
            [](const Stretch& a, const Stretch& b) { return a.start_s < b.start_s; });
  std::vector<Stretch> merged;
  for (const Stretch& stretch : stretches) {
    if (!merged.empty() && stretch.start_s <= merged.back().end_s + kRoundingS) {
      merged.back().end_s = std::max(merged.back().end_s, stretch.end_s);
    } else {
      merged.push_back(stretch);
    }
  }
  return merged;
}

std::vector<Stretch> gaps(std::span<const Stretch> covered, double length_s) {
  std::vector<Stretch> found;
  double until = 0;
  const auto add = [&](double start) {
    if (start - until > kRoundingS) found.push_back({until, start});
  };
  for (const Stretch& stretch : covered) {
    add(std::min(stretch.start_s, length_s));
    until = stretch.end_s;
  }
  add(length_s);
  return found;
}

std::vector<double> axis_ticks(double length_s, int count) {
  constexpr std::array<double, 16> kSteps = {1,   2,   5,   10,   15,   30,   60,    120,
                                             300, 600, 900, 1800, 3600, 7200, 14400, 43200};
  double step = kSteps.front();
  for (const double candidate : kSteps) {
    step = candidate;
    if (length_s / step <= count) break;
  }
  while (length_s / step > count) step *= 2;
  std::vector<double> ticks;
  for (int i = 0; i * step <= length_s; ++i) ticks.push_back(i * step);
  return ticks;
}

std::vector<std::vector<FrameGroup>> frames_by_segment(const Report& report) {
  const std::vector<Segment>& segments = report.segments;
  const std::vector<Observation>& frames = report.observations;
  std::vector<std::vector<FrameGroup>> groups(segments.size() + 1);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const double at = frames[i].timestamp_s;
    std::size_t home = segments.size();
    for (std::size_t k = 0; k < segments.size() && home == segments.size(); ++k) {
      const bool last = k + 1 == segments.size();
      if (segments[k].start_s <= at && (at < segments[k].end_s || (last && at <= segments[k].end_s + kRoundingS)))
        home = k;
    }
    std::vector<FrameGroup>& into = groups[home];
    const bool joins = frames[i].status == ObservationStatus::unchanged && !into.empty() && into.back().last + 1 == i &&
                       frames[into.back().last].status == ObservationStatus::unchanged &&
                       frames[into.back().last].source_timestamp_s == frames[i].source_timestamp_s;
    if (joins) {
      into.back().last = i;
    } else {
      into.push_back({i, i});
    }
  }
  return groups;
}

}  // namespace escribano::report
