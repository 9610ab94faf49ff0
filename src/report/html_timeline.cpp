#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/clock_text.h"
#include "report/html_parts.h"
#include "report/text.h"
#include "report/timeline.h"

namespace escribano::report {
namespace {

// The shapes have no inline style: the page's policy allows none.
constexpr int kBarHeightPx = 48;
constexpr int kMarksTopPx = 54;
constexpr int kMarksHeightPx = 8;
constexpr int kAxisPx = 82;
constexpr int kHeightPx = 88;
constexpr int kTicks = 8;

double percent(double seconds, double length_s) { return length_s > 0 ? 100 * seconds / length_s : 0; }

void add_segment(const Segment& segment, std::size_t number, double length_s, std::string& out) {
  std::string label =
      fmt::format("{} to {}, {}", clock_text(segment.start_s), clock_text(segment.end_s), segment.activity);
  if (!segment.apps.empty()) label += ", " + joined(segment.apps);
  fmt::format_to(std::back_inserter(out),
                 R"(<a href="#s{0}" class="span {1}" data-segment="{0}" aria-label="{2}"><title>{3}</title>)", number,
                 activity_class(segment.activity), escaped(label), escaped(label + ": " + segment.description));
  fmt::format_to(std::back_inserter(out), R"(<rect x="{:.4f}%" width="{:.4f}%" y="0" height="{}" rx="3"/></a>)",
                 percent(segment.start_s, length_s), percent(segment.end_s - segment.start_s, length_s), kBarHeightPx);
}

// The main app, where the segment is wide enough for it on a wide screen; narrow ones show no names (report.css).
void add_label(const Segment& segment, double length_s, std::string& out) {
  constexpr double kPxPerPercent = 9.5;
  constexpr double kPxPerByte = 8.5;
  constexpr double kMarginPx = 18;
  const double width = percent(segment.end_s - segment.start_s, length_s);
  if (segment.apps.empty()) return;
  const std::string& app = segment.apps.front();
  if (width * kPxPerPercent < static_cast<double>(app.size()) * kPxPerByte + kMarginPx) return;
  fmt::format_to(
      std::back_inserter(out),
      R"(<svg class="label" x="{:.4f}%" width="{:.4f}%" height="{}" aria-hidden="true"><text x="9" y="29">{}</text></svg>)",
      percent(segment.start_s, length_s), width, kBarHeightPx, escaped(app));
}

// All frames of one kind are one path: a thousand elements less.
void add_marks(const Report& shown, double length_s, std::string& out) {
  constexpr double kUnits = 10'000;
  constexpr std::size_t kDense = 300;  // more marks than this would be one grey bar
  std::array<std::string, 3> paths;    // with a text of their own, unchanged, without a text
  for (const Observation& observation : shown.observations) {
    const std::size_t kind = observation.status == ObservationStatus::described   ? 0
                             : observation.status == ObservationStatus::unchanged ? 1
                                                                                  : 2;
    fmt::format_to(std::back_inserter(paths.at(kind)), "M{:.0f} 0v8", kUnits * observation.timestamp_s / length_s);
  }
  fmt::format_to(
      std::back_inserter(out),
      R"(<svg class="marks{}" x="0" y="{}" width="100%" height="{}" viewBox="0 0 10000 8" preserveAspectRatio="none" aria-hidden="true">)",
      shown.observations.size() > kDense ? " dense" : "", kMarksTopPx, kMarksHeightPx);
  constexpr std::array<std::string_view, 3> kKinds = {"described", "unchanged", "failed"};
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (paths[i].empty()) continue;
    fmt::format_to(std::back_inserter(out), R"(<path class="mark {}" d="{}"/>)", kKinds[i], paths[i]);
  }
  out += "</svg>";
}

void add_axis(double length_s, std::string& out) {
  out += R"(<g class="axis" aria-hidden="true">)";
  const std::vector<double> ticks = axis_ticks(length_s, kTicks);
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    const double at = percent(ticks[i], length_s);
    const std::string_view anchor = i == 0 ? "start" : at > 96 ? "end" : "middle";
    fmt::format_to(std::back_inserter(out), R"(<text x="{:.4f}%" y="{}" text-anchor="{}"{}>{}</text>)", at, kAxisPx,
                   anchor, i % 2 == 1 ? R"( class="minor")" : "", clock_text(ticks[i]));
  }
  out += "</g>";
}

void add_bars(std::string_view title, std::string_view id, const std::vector<Total>& totals, bool coloured,
              std::string& out) {
  fmt::format_to(std::back_inserter(out), R"(<section class="card totals" id="{}"><h2>{}</h2>)", id, title);
  double sum = 0;
  for (const Total& total : totals) sum += total.seconds;
  if (totals.empty()) out += R"(<p class="empty">Nothing to add up yet.</p>)";
  out += "<ul>";
  for (const Total& total : totals) {
    fmt::format_to(
        std::back_inserter(out),
        R"(<li class="{}"><span class="name"><bdi>{}</bdi></span><span class="time">{} <small>{:.0f}%</small></span>)",
        coloured ? activity_class(total.name) : "plain", escaped(coloured ? capitalised(total.name) : total.name),
        length_text(total.seconds), percent(total.seconds, sum));
    fmt::format_to(
        std::back_inserter(out),
        R"(<svg width="100%" height="8" aria-hidden="true"><rect class="track" width="100%" height="8" rx="4"/><rect class="bar" width="{:.4f}%" height="8" rx="4"/></svg></li>)",
        percent(total.seconds, totals.front().seconds));
  }
  out += "</ul></section>";
}

}  // namespace

std::string_view activity_class(std::string_view activity) noexcept {
  // Those of pipeline/activity.h; what is none of them has the colour of the last.
  constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kClasses = {{{"coding", "a-coding"},
                                                                                       {"debugging", "a-debugging"},
                                                                                       {"reviewing", "a-reviewing"},
                                                                                       {"testing", "a-testing"},
                                                                                       {"reading", "a-reading"},
                                                                                       {"writing", "a-writing"},
                                                                                       {"messaging", "a-messaging"},
                                                                                       {"meeting", "a-meeting"},
                                                                                       {"designing", "a-designing"},
                                                                                       {"planning", "a-planning"},
                                                                                       {"querying", "a-querying"},
                                                                                       {"analyzing", "a-analyzing"},
                                                                                       {"terminal", "a-terminal"},
                                                                                       {"other", "a-other"}}};
  for (const auto& [name, css_class] : kClasses) {
    if (name == activity) return css_class;
  }
  return kClasses.back().second;
}

std::string timeline_html(const Report& shown) {
  const double length_s = timeline_length_s(shown);
  if (length_s <= 0 || (shown.segments.empty() && shown.observations.empty())) {
    return R"(<p class="empty">There are no segments yet: the recording is not described to its end.</p>)";
  }
  std::string out = fmt::format(
      R"(<svg class="strip" id="strip" width="100%" height="{}" role="group" aria-label="Timeline">)", kHeightPx);
  out +=
      R"svg(<defs><pattern id="stripes" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">)svg"
      R"(<rect class="stripe" width="2" height="6"/></pattern></defs>)";
  for (const Stretch& gap : gaps(covered(shown.segments), length_s)) {
    fmt::format_to(
        std::back_inserter(out),
        R"(<g class="gap"><title>{} to {}: nothing to show</title><rect x="{:.4f}%" width="{:.4f}%" y="0" height="{}" rx="3"/></g>)",
        clock_text(gap.start_s), clock_text(gap.end_s), percent(gap.start_s, length_s),
        percent(gap.end_s - gap.start_s, length_s), kBarHeightPx);
  }
  for (std::size_t i = 0; i < shown.segments.size(); ++i) add_segment(shown.segments[i], i, length_s, out);
  for (const Segment& segment : shown.segments) add_label(segment, length_s, out);
  add_marks(shown, length_s, out);
  add_axis(length_s, out);
  return out + "</svg>";
}

std::string legend_html(const Report& shown) {
  std::string out;
  for (const Total& total : totals_by_activity(shown.segments)) {
    fmt::format_to(
        std::back_inserter(out),
        R"(<button type="button" class="chip {}" data-activity="{}" aria-pressed="false" disabled><bdi>{}</bdi></button>)",
        activity_class(total.name), escaped(total.name), escaped(capitalised(total.name)));
  }
  return out;
}

std::string totals_html(const Report& shown) {
  std::string out;
  add_bars("Time by activity", "by-activity", totals_by_activity(shown.segments), /*coloured=*/true, out);
  add_bars("Time by app", "by-app", totals_by_app(shown.segments), /*coloured=*/false, out);
  return out;
}

}  // namespace escribano::report
