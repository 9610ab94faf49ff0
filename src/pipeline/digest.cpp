// The artefacts that need no language model.

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "base/clock_text.h"
#include "pipeline/markdown.h"
#include "pipeline/segment_facts.h"
#include "pipeline/summary.h"
#include "pipeline/summary_notes.h"
#include "pipeline/times.h"

namespace escribano {
namespace {

using Facts = std::span<const SegmentFacts>;

double total_s(Facts facts) {
  double sum = 0;
  for (const SegmentFacts& segment : facts) sum += segment.seconds();
  return sum;
}

std::string percent(double part, double whole) {
  return fmt::format("{} %", whole > 0 ? static_cast<int>(std::lround(100 * part / whole)) : 0);
}

std::string plural(std::size_t count, std::string_view thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

// "querying in TablePlus on zephyr-weather"
std::string work(const SegmentFacts& segment) {
  std::string text = segment.seen ? markdown_escaped(segment.activity) : "nothing described";
  if (!segment.app.empty()) text += " in " + markdown_escaped(segment.app);
  if (!segment.project.empty()) text += " on " + markdown_escaped(segment.project);
  return text;
}

std::string with_full_stop(std::string text) {
  if (!text.empty() && std::string_view(".!?").find(text.back()) == std::string_view::npos) text += '.';
  return text;
}

// What is shown, after work(): a sentence of its own, else the topics.
std::string shown(const SegmentFacts& segment) {
  if (!segment.sentence.empty()) return with_full_stop(markdown_escaped(segment.sentence));
  std::string topics;
  for (const std::string& topic : segment.topics) topics += (topics.empty() ? "" : ", ") + markdown_escaped(topic);
  return with_full_stop(std::move(topics));
}

std::string totals_line(std::string_view label, const std::vector<TimeSpent>& spent, double whole_s) {
  if (spent.empty()) return {};
  constexpr std::size_t kMost = 12;
  std::string line = fmt::format("- {}: ", label);
  for (std::size_t i = 0; i < std::min(spent.size(), kMost); ++i) {
    line += fmt::format("{}{} {} ({})", i == 0 ? "" : ", ", markdown_escaped(spent[i].name),
                        duration_text(spent[i].seconds), percent(spent[i].seconds, whole_s));
  }
  if (spent.size() > kMost) line += fmt::format(" and {} more", spent.size() - kMost);
  return line + "\n";
}

std::string card(Facts facts) {
  std::string text = fmt::format("{}, from {} to {}.\n\n## Timeline\n\n", plural(facts.size(), "segment"),
                                 clock_text(facts.front().start_s), clock_text(facts.back().end_s));
  for (const SegmentFacts& segment : facts) {
    const std::string more = shown(segment);
    text += fmt::format("- **{}-{}** {}{}{}\n", clock_text(segment.start_s), clock_text(segment.end_s), work(segment),
                        more.empty() ? "." : ": ", more);
  }
  const double whole_s = total_s(facts);
  text += "\n## Time\n\n";
  text += totals_line("Activities", time_spent(facts, &SegmentFacts::activity), whole_s);
  text += totals_line("Applications", time_spent(facts, &SegmentFacts::app), whole_s);
  text += totals_line("Projects", time_spent(facts, &SegmentFacts::project), whole_s);
  return text;
}

// "querying 38 s (TablePlus), meeting 18 s (Zoom)"
std::string activities_of(Facts facts) {
  std::string text;
  for (const TimeSpent& activity : time_spent(facts, &SegmentFacts::activity)) {
    std::vector<SegmentFacts> own;
    std::copy_if(facts.begin(), facts.end(), std::back_inserter(own),
                 [&](const SegmentFacts& segment) { return segment.activity == activity.name; });
    std::string apps;
    for (const TimeSpent& app : time_spent(own, &SegmentFacts::app))
      apps += (apps.empty() ? "" : ", ") + markdown_escaped(app.name);
    text += fmt::format("{}{} {}{}", text.empty() ? "" : ", ", markdown_escaped(activity.name),
                        duration_text(activity.seconds), apps.empty() ? "" : " (" + apps + ")");
  }
  return text;
}

// What was looked at for longest, each once: "Release checklist board; sheet Q3 budget".
std::string subjects_of(Facts facts) {
  constexpr std::size_t kMost = 4;
  std::vector<SegmentFacts> seen;
  std::copy_if(facts.begin(), facts.end(), std::back_inserter(seen), [](const SegmentFacts& s) { return s.seen; });
  std::string text;
  const std::vector<TimeSpent> spent = time_spent(seen, &SegmentFacts::subject);
  for (std::size_t i = 0; i < std::min(spent.size(), kMost); ++i) {
    text += (i == 0 ? "" : "; ") + markdown_escaped(spent[i].name);
  }
  return text;
}

std::string standup(Facts facts) {
  std::string text;
  std::vector<SegmentFacts> rest;
  double unseen_s = 0;
  for (const SegmentFacts& segment : facts) {
    if (!segment.seen) unseen_s += segment.seconds();
    if (segment.seen && segment.project.empty()) rest.push_back(segment);
  }
  constexpr std::size_t kMostProjects = 20;
  const std::vector<TimeSpent> projects = time_spent(facts, &SegmentFacts::project);
  for (std::size_t i = 0; i < std::min(projects.size(), kMostProjects); ++i) {
    const TimeSpent& project = projects[i];
    std::vector<SegmentFacts> own;
    std::copy_if(facts.begin(), facts.end(), std::back_inserter(own),
                 [&](const SegmentFacts& segment) { return segment.project == project.name; });
    text += fmt::format("- Worked on **{}** for {}: {}.\n  Seen: {}.\n", markdown_escaped(project.name),
                        duration_text(project.seconds), activities_of(own), subjects_of(own));
  }
  if (projects.size() > kMostProjects)
    text += fmt::format("- And on {} more projects.\n", projects.size() - kMostProjects);
  for (const TimeSpent& activity : time_spent(rest, &SegmentFacts::activity)) {
    std::vector<SegmentFacts> own;
    std::copy_if(rest.begin(), rest.end(), std::back_inserter(own),
                 [&](const SegmentFacts& segment) { return segment.activity == activity.name; });
    const std::string subjects = subjects_of(own);
    std::string apps;
    for (const TimeSpent& app : time_spent(own, &SegmentFacts::app))
      apps += (apps.empty() ? " in " : ", ") + markdown_escaped(app.name);
    text += fmt::format("- **{}** for {}{}.\n", markdown_escaped(activity.name), duration_text(activity.seconds), apps);
    if (!subjects.empty()) text += fmt::format("  Seen: {}.\n", subjects);
  }
  if (unseen_s > 0) text += fmt::format("- Nothing could be described for {}.\n", duration_text(unseen_s));
  return text;
}

std::string narrative(Facts facts) {
  constexpr std::size_t kSegmentsAParagraph = 4;
  std::string text;
  std::unordered_set<std::string> told;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    const SegmentFacts& segment = facts[i];
    const bool again = segment.seen && !told.insert(work(segment)).second;
    const char* lead = i == 0 ? "The recording begins with" : again ? "the work goes back to" : "the work goes on with";
    if (i > 0) text += i % kSegmentsAParagraph == 0 ? "\n\n" : " ";
    if (!segment.seen) {
      text += fmt::format("From {} on, nothing could be described for {}.", clock_text(segment.start_s),
                          duration_text(segment.seconds()));
      continue;
    }
    if (i > 0) text += fmt::format("At {} ", clock_text(segment.start_s));
    text += fmt::format("{} {}, for {}.", lead, work(segment), duration_text(segment.seconds()));
    const std::string more = shown(segment);
    if (!again && !more.empty()) text += " " + more;
  }
  return text + "\n";
}

}  // namespace

Artefact digest(std::span<const Segment> segments, const RecordingInfo& recording, const SummaryOptions& options) {
  const std::vector<SegmentFacts> facts = facts_of(segments);
  Artefact artefact{.format = options.format};
  artefact.text = artefact_title(recording, options.format);
  if (facts.empty()) {
    artefact.text += "There is nothing to tell of this recording.\n";
  } else {
    switch (options.format) {
      case ArtefactFormat::card: artefact.text += card(facts); break;
      case ArtefactFormat::standup: artefact.text += standup(facts); break;
      case ArtefactFormat::narrative: artefact.text += narrative(facts); break;
    }
  }
  artefact.notes.push_back(
      fmt::format("Put together from {} without a language model.", plural(facts.size(), "segment")));
  add_left_out_note(artefact.notes, options);
  append_notes(artefact);
  return artefact;
}

}  // namespace escribano
