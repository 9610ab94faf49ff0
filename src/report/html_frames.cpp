#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/base64.h"
#include "base/clock_text.h"
#include "report/html_parts.h"
#include "report/text.h"
#include "report/timeline.h"

namespace escribano::report {
namespace {

std::int64_t milliseconds(double seconds) { return std::isfinite(seconds) ? std::llround(seconds * 1000) : -1; }

// Pictures by time: a frame and its thumbnail have the same timestamp.
class Pictures {
 public:
  Pictures(std::span<const Thumbnail> thumbnails, const RecordingInfo& info) : thumbnails_(thumbnails) {
    for (std::size_t i = 0; i < thumbnails.size(); ++i) {
      if (!thumbnails[i].jpeg.empty()) at_.emplace(milliseconds(thumbnails[i].timestamp_s), i);
    }
    // Space is kept before the picture is decoded, so that nothing jumps.
    if (info.width_px > 0 && info.height_px > 0) height_ = std::clamp(320 * info.height_px / info.width_px, 40, 960);
  }

  bool has(double timestamp_s) const { return at_.contains(milliseconds(timestamp_s)); }

  void add(double timestamp_s, std::string& out) const {
    const auto found = at_.find(milliseconds(timestamp_s));
    if (found == at_.end()) return;
    fmt::format_to(
        std::back_inserter(out),
        R"(<img width="320" height="{}" loading="lazy" decoding="async" alt="The screen at {}" src="data:image/jpeg;base64,)",
        height_, clock_text(timestamp_s));
    out += to_base64(thumbnails_[found->second].jpeg);
    out += R"(">)";
  }

 private:
  std::span<const Thumbnail> thumbnails_;
  std::map<std::int64_t, std::size_t> at_;
  int height_ = 180;
};

void add_tags(const std::vector<std::string>& apps, const std::vector<std::string>& topics, std::string& out) {
  if (apps.empty() && topics.empty()) return;
  out += R"(<ul class="tags">)";
  for (const std::string& app : apps) out += fmt::format(R"(<li class="app"><bdi>{}</bdi></li>)", escaped(app));
  for (const std::string& topic : topics) out += fmt::format(R"(<li class="topic"><bdi>{}</bdi></li>)", escaped(topic));
  out += "</ul>";
}

// What is said in place of a description; nothing where there is one.
std::string trouble(const Observation& frame) {
  switch (frame.status) {
    case ObservationStatus::pending: return "Not described yet.";
    case ObservationStatus::unparsed:
      return fmt::format("The answer had not the form that was asked for: \xE2\x80\x9C{}\xE2\x80\x9D",
                         frame.raw_response);
    case ObservationStatus::failed:
      return fmt::format("Not described after {}: {} ({})",
                         counted(static_cast<std::size_t>(std::max(0, frame.attempts)), "attempt"),
                         frame.error.empty() ? "no reason is known" : frame.error,
                         frame.error_code.empty() ? "failed" : frame.error_code);
    case ObservationStatus::described:
    case ObservationStatus::unchanged: break;
  }
  return {};
}

void add_frame(const Report& shown, std::size_t number, const Pictures& pictures, std::string& out) {
  const Observation& frame = shown.observations[number];
  const std::string problem = trouble(frame);
  fmt::format_to(std::back_inserter(out), R"(<li class="frame{0}" id="f{1}" data-frame="{1}" data-count="1">)",
                 problem.empty() ? "" : " trouble", number);
  if (pictures.has(frame.timestamp_s)) {
    out += R"(<div class="picture">)";
    pictures.add(frame.timestamp_s, out);
    out += "</div>";
  }
  fmt::format_to(std::back_inserter(out), R"(<div class="said"><p class="at"><time>{}</time>)",
                 clock_text(frame.timestamp_s));
  if (!frame.activity.empty() && problem.empty())
    out += fmt::format(" <bdi class=\"word\">{}</bdi>", escaped(frame.activity));
  out += "</p>";
  fmt::format_to(std::back_inserter(out), R"(<p class="description" dir="auto">{}</p>)",
                 escaped(problem.empty() ? frame.description : problem));
  if (problem.empty()) add_tags(frame.apps, frame.topics, out);
  out += "</div></li>";
}

void add_unchanged(const Report& shown, FrameGroup group, std::string& out) {
  const Observation& first = shown.observations[group.first];
  const std::size_t count = group.last - group.first + 1;
  fmt::format_to(std::back_inserter(out),
                 R"(<li class="frame same" id="f{0}" data-frame="{0}" data-count="{1}"><p class="at"><time>{2}</time>)",
                 group.first, count, clock_text(first.timestamp_s));
  if (count > 1)
    fmt::format_to(std::back_inserter(out), " \xE2\x80\x93 <time>{}</time>",
                   clock_text(shown.observations[group.last].timestamp_s));
  out += R"( <span class="since">)";
  out += first.source_timestamp_s ? "same as at " + clock_text(*first.source_timestamp_s) : "unchanged";
  if (count > 1) out += fmt::format(" \xC2\xB7 {}", counted(count, "frame"));
  out += "</span></p></li>";
}

void add_frames(const Report& shown, const std::vector<FrameGroup>& groups, const Pictures& pictures,
                std::string& out) {
  out += R"(<ol class="frames">)";
  for (const FrameGroup& group : groups) {
    if (shown.observations[group.first].status == ObservationStatus::unchanged) {
      add_unchanged(shown, group, out);
    } else {
      add_frame(shown, group.first, pictures, out);
    }
  }
  out += "</ol>";
}

std::string frames_title(const Report& shown, const std::vector<FrameGroup>& groups) {
  std::size_t frames = 0;
  std::size_t unchanged = 0;
  std::size_t missing = 0;
  for (const FrameGroup& group : groups) {
    const std::size_t count = group.last - group.first + 1;
    frames += count;
    if (shown.observations[group.first].status == ObservationStatus::unchanged) unchanged += count;
    if (!trouble(shown.observations[group.first]).empty()) missing += count;
  }
  std::string title = counted(frames, "frame");
  if (unchanged > 0) title += fmt::format(" \xC2\xB7 {} unchanged", unchanged);
  if (missing > 0) title += fmt::format(" \xC2\xB7 {} not described", missing);
  return title;
}

// The frame whose picture stands for the segment: the one whose description the segment has, else the first with a picture; in a
// segment in which nothing changed that which everything is the same as.
std::optional<double> typical_frame(const Report& shown, const Segment& segment, const std::vector<FrameGroup>& groups,
                                    const Pictures& pictures) {
  std::optional<double> first;
  for (const FrameGroup& group : groups) {
    const Observation& frame = shown.observations[group.first];
    const double at = frame.source_timestamp_s.value_or(frame.timestamp_s);
    if (!pictures.has(at)) continue;
    if (frame.description == segment.description) return at;
    if (!first) first = at;
  }
  return first;
}

void add_segment(const Report& shown, std::size_t number, const std::vector<FrameGroup>& groups,
                 const Pictures& pictures, std::string& out) {
  const Segment& segment = shown.segments[number];
  fmt::format_to(std::back_inserter(out),
                 R"(<article class="card segment {1}" id="s{0}" data-segment="{0}" tabindex="-1">)", number,
                 activity_class(segment.activity));
  if (const auto at = typical_frame(shown, segment, groups, pictures)) {
    out += R"(<div class="picture">)";
    pictures.add(*at, out);
    out += "</div>";
  }
  fmt::format_to(
      std::back_inserter(out),
      R"(<div class="said"><h3><bdi class="activity">{}</bdi> <span class="when"><time>{}</time> – <time>{}</time></span> <span class="length">{}</span></h3>)",
      escaped(capitalised(segment.activity)), clock_text(segment.start_s), clock_text(segment.end_s),
      length_text(segment.end_s - segment.start_s));
  fmt::format_to(std::back_inserter(out), R"(<p class="description" dir="auto">{}</p>)", escaped(segment.description));
  add_tags(segment.apps, segment.topics, out);
  out += "</div>";
  if (!groups.empty()) {
    fmt::format_to(std::back_inserter(out), R"(<details><summary>{}</summary>)", frames_title(shown, groups));
    add_frames(shown, groups, pictures, out);
    out += "</details>";
  }
  out += "</article>\n";
}

}  // namespace

std::string segments_html(const Report& shown, std::span<const Thumbnail> thumbnails) {
  const Pictures pictures(thumbnails, shown.recording.info);
  const std::vector<std::vector<FrameGroup>> groups = frames_by_segment(shown);
  std::string out;
  for (std::size_t i = 0; i < shown.segments.size(); ++i) add_segment(shown, i, groups[i], pictures, out);
  if (const std::vector<FrameGroup>& rest = groups.back(); !rest.empty()) {
    fmt::format_to(
        std::back_inserter(out),
        R"(<article class="card segment a-other" id="rest"><div class="said"><h3>{}</h3></div><details open><summary>{}</summary>)",
        shown.segments.empty() ? "Frames" : "Frames outside of the segments", frames_title(shown, rest));
    add_frames(shown, rest, pictures, out);
    out += "</details></article>\n";
  }
  if (out.empty()) out = R"(<p class="empty">There are no frames yet.</p>)";
  return out;
}

std::string failures_html(const Report& shown) {
  std::string out;
  for (std::size_t i = 0; i < shown.observations.size(); ++i) {
    const Observation& frame = shown.observations[i];
    if (frame.status != ObservationStatus::failed && frame.status != ObservationStatus::unparsed) continue;
    fmt::format_to(std::back_inserter(out),
                   R"(<li><a class="to-frame" href="#f{}"><time>{}</time></a> <span dir="auto">{}</span></li>)", i,
                   clock_text(frame.timestamp_s), escaped(trouble(frame)));
  }
  if (out.empty()) return out;
  return R"(<section class="card failures" id="failures"><h2>Frames without a description</h2><ul>)" + out +
         "</ul></section>";
}

}  // namespace escribano::report
