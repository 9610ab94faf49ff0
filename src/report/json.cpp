#include "report/json.h"

#include <cmath>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "report/timeline.h"

namespace escribano {
namespace {

using Json = nlohmann::ordered_json;

// To a thousandth, which is less than a frame. What is not a number is null.
Json seconds(double value) { return std::abs(value) < 1e12 ? std::round(value * 1000) / 1000 : value; }

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json recording_json(const StoredRecording& recording) {
  return {{"id", recording.info.id},
          {"path", printable(recording.info.path)},
          {"duration_s", seconds(recording.info.duration_s)},
          {"captured_at", text_or_null(recording.info.captured_at)},
          {"status", recording_state_name(recording.state)}};
}

Json segment_json(const Segment& segment) {
  return {{"start_s", seconds(segment.start_s)},
          {"end_s", seconds(segment.end_s)},
          {"activity", segment.activity},
          {"apps", segment.apps},
          {"topics", segment.topics},
          {"description", segment.description}};
}

Json observation_json(const Observation& observation) {
  return {{"timestamp_s", seconds(observation.timestamp_s)},
          {"description", observation.description},
          {"activity", observation.activity},
          {"apps", observation.apps},
          {"topics", observation.topics},
          {"status", observation_status_name(observation.status)},
          {"source_timestamp_s", observation.source_timestamp_s ? seconds(*observation.source_timestamp_s) : Json()}};
}

Json failure_json(const Observation& observation) {
  return {{"timestamp_s", seconds(observation.timestamp_s)},
          {"status", observation_status_name(observation.status)},
          {"error_code", text_or_null(observation.error_code)},
          {"error", text_or_null(observation.error)},
          {"attempts", observation.attempts},
          {"raw_response", text_or_null(observation.raw_response)}};
}

Json totals_json(const std::vector<report::Total>& totals) {
  Json object = Json::object();
  for (const report::Total& total : totals) object[total.name] = seconds(total.seconds);
  return object;
}

Json report_json(const Report& report) {
  Json segments = Json::array();
  for (const Segment& segment : report.segments) segments.push_back(segment_json(segment));
  Json observations = Json::array();
  Json failures = Json::array();
  for (const Observation& observation : report.observations) {
    observations.push_back(observation_json(observation));
    if (observation.status == ObservationStatus::failed || observation.status == ObservationStatus::unparsed) {
      failures.push_back(failure_json(observation));
    }
  }
  return {{"schema", 1},
          {"recording", recording_json(report.recording)},
          {"segments", std::move(segments)},
          {"observations", std::move(observations)},
          {"totals",
           {{"by_activity", totals_json(report::totals_by_activity(report.segments))},
            {"by_app", totals_json(report::totals_by_app(report.segments))}}},
          {"failures", std::move(failures)}};
}

}  // namespace

std::string to_json(const Report& report) {
  return report_json(report).dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

namespace report {

std::string page_data(const Report& shown) {
  Json artefacts = Json::array();
  for (const Artefact& artefact : shown.artefacts) {
    artefacts.push_back({{"format", artefact_format_name(artefact.format)}, {"text", artefact.text}});
  }
  const Json data = {{"report", report_json(shown)}, {"artefacts", std::move(artefacts)}};
  // ASCII also keeps out U+2028 and U+2029.
  const std::string json = data.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  std::string safe;
  safe.reserve(json.size());
  for (const char c : json) {
    switch (c) {
      case '<': safe += "\\u003c"; break;
      case '>': safe += "\\u003e"; break;
      case '&': safe += "\\u0026"; break;
      default: safe += c;
    }
  }
  return safe;
}

}  // namespace report
}  // namespace escribano
