#include "pipeline/observations.h"

#include <fstream>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "pipeline/segments.h"

namespace escribano {

std::string Dice::text(int longest) {
  static constexpr std::string_view kMarks = " \n.,;|/*_`<>[](){}#\"'-+&:\t";
  std::string out;
  const int length = below(longest + 1);
  while (static_cast<int>(out.size()) < length) {
    const int roll = below(10);
    if (roll < 6) {
      out += static_cast<char>('a' + below(26));
    } else if (roll < 9) {
      out += kMarks[static_cast<std::size_t>(below(static_cast<int>(kMarks.size())))];
    } else {
      out += static_cast<char>(below(256));
    }
  }
  return out;
}

Observation described(double timestamp_s, std::string activity, std::vector<std::string> apps,
                      std::vector<std::string> topics, std::string description) {
  Observation o;
  o.timestamp_s = timestamp_s;
  o.status = ObservationStatus::described;
  o.activity = std::move(activity);
  o.apps = std::move(apps);
  o.topics = std::move(topics);
  o.description = std::move(description);
  return o;
}

namespace {

nlohmann::json truth() {
  std::ifstream file(ESCRIBANO_SOURCE_DIR "/assets/samples/session-a.truth.json");
  if (!file) throw std::runtime_error("the truth of the sample is missing");
  return nlohmann::json::parse(file);
}

}  // namespace

double sample_duration_s() { return truth().at("seconds").get<double>(); }

std::vector<TruthSpan> sample_truth() {
  std::vector<TruthSpan> spans;
  const nlohmann::json all = truth();
  for (const auto& span : all.at("spans")) {
    TruthSpan s;
    s.start_s = span.at("start");
    s.end_s = span.at("end");
    s.app = span.at("app");
    s.project = span.at("project");
    s.activity = span.at("activity");
    s.seen = described(s.start_s, s.activity, span.at("apps"), span.at("topics"), span.at("description"));
    spans.push_back(std::move(s));
  }
  return spans;
}

std::vector<Observation> sample_observations(double interval_s) {
  const std::vector<TruthSpan> spans = sample_truth();
  std::vector<Observation> seen;
  std::size_t at = 0;
  for (std::size_t i = 0; static_cast<double>(i) * interval_s < sample_duration_s(); ++i) {
    const double time_s = static_cast<double>(i) * interval_s;
    while (at + 1 < spans.size() && spans[at + 1].start_s <= time_s) ++at;
    seen.push_back(spans[at].seen);
    seen.back().timestamp_s = time_s;
    seen.back().position = i;
  }
  return seen;
}

std::vector<Segment> sample_segments() {
  return segment(sample_observations(2), sample_duration_s(), {.min_segment_s = 5});
}

}  // namespace escribano
