#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/clock_text.h"
#include "report/report.h"
#include "report/text.h"
#include "report/timeline.h"

namespace escribano {
namespace {

// Text of one line that Markdown (CommonMark, GitHub's tables and bare links included) shows as it is.
std::string escaped(std::string_view text) {
  constexpr std::string_view kSpecial = "\\`*_[]<>|~#&$!@";
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool bare_link = text.substr(i, 3) == "://" || (text[i] == '.' && i >= 3 && (text[i - 1] | 0x20) == 'w');
    if (bare_link || kSpecial.find(text[i]) != std::string_view::npos) out += '\\';
    out += text[i];
  }
  return out;
}

std::string names(const std::vector<std::string>& list) { return list.empty() ? "-" : escaped(report::joined(list)); }

std::string times(double start_s, double end_s) {
  return fmt::format("{} \xE2\x80\x93 {}", clock_text(start_s), clock_text(end_s));
}

void add_facts(const Report& shown, std::string& out) {
  const StoredRecording& recording = shown.recording;
  if (!recording.info.captured_at.empty()) {
    out += fmt::format("- Recorded: {}\n", escaped(report::date_text(recording.info.captured_at)));
  }
  out += fmt::format("- Length: {}\n", report::length_text(recording.info.duration_s));
  out += fmt::format("- Frames: {} sampled, {} described, {} unchanged, {} failed\n", recording.frames,
                     recording.described, recording.unchanged, recording.failed);
  out += fmt::format("- Status: {}\n", recording_state_name(recording.state));
  if (!shown.left_out_apps.empty()) out += fmt::format("- Left out: {}\n", names(shown.left_out_apps));
  for (const std::string& warning : recording.warnings) out += fmt::format("- Note: {}\n", escaped(warning));
}

void add_totals(std::string_view title, const std::vector<report::Total>& totals, std::string& out) {
  if (totals.empty()) return;
  out += fmt::format("\n## Time by {0}\n\n| {1} | time |\n|---|---:|\n", title, title);
  for (const report::Total& total : totals) {
    out += fmt::format("| {} | {} |\n", escaped(total.name), report::length_text(total.seconds));
  }
}

void add_observation(const Observation& observation, std::string& out) {
  out += fmt::format("- **{}** ", clock_text(observation.timestamp_s));
  switch (observation.status) {
    case ObservationStatus::pending: out += "not described yet"; break;
    case ObservationStatus::described: {
      out += escaped(observation.description);
      if (!observation.activity.empty()) out += fmt::format(" *{}*", escaped(observation.activity));
      if (!observation.apps.empty()) out += fmt::format("; apps: {}", names(observation.apps));
      if (!observation.topics.empty()) out += fmt::format("; topics: {}", names(observation.topics));
      break;
    }
    case ObservationStatus::unparsed:
      out += "the answer had not the form that was asked for: " + escaped(observation.raw_response);
      break;
    case ObservationStatus::failed:
      out += fmt::format("failed ({}): {}", escaped(observation.error_code), escaped(observation.error));
      break;
    case ObservationStatus::unchanged:
      out += observation.source_timestamp_s ? "same as at " + clock_text(*observation.source_timestamp_s) : "unchanged";
      break;
  }
  out += "\n";
}

}  // namespace

std::string to_markdown(const Report& report) {
  const Report shown = report::shown(report);
  std::string out = fmt::format("# {}\n\n", escaped(report::recording_name(shown.recording.info)));
  add_facts(shown, out);
  if (!shown.segments.empty()) {
    out += "\n## Timeline\n\n| time | length | activity | apps | topics | description |\n|---|---:|---|---|---|---|\n";
    for (const Segment& segment : shown.segments) {
      out += fmt::format("| {} | {} | {} | {} | {} | {} |\n", times(segment.start_s, segment.end_s),
                         report::length_text(segment.end_s - segment.start_s), escaped(segment.activity),
                         names(segment.apps), names(segment.topics), escaped(segment.description));
    }
  }
  add_totals("activity", report::totals_by_activity(shown.segments), out);
  add_totals("app", report::totals_by_app(shown.segments), out);
  if (!shown.observations.empty()) out += "\n## Frames\n\n";
  for (const Observation& observation : shown.observations) add_observation(observation, out);
  if (!shown.program.empty()) out += fmt::format("\nMade by {}\n", escaped(shown.program));
  return out;
}

}  // namespace escribano
