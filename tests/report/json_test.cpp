// The JSON form, and docs/report.md beside it.
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "report/report.h"
#include "report/sample_report.h"

namespace escribano {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::ordered_json;

std::vector<std::string> keys(const Json& object) {
  std::vector<std::string> names;
  for (const auto& [key, value] : object.items()) names.push_back(key);
  return names;
}

TEST(ReportJson, HasTheKeysOfTheStableInterfaceInTheirOrder) {
  const Json json = Json::parse(to_json(small_report()));
  EXPECT_THAT(keys(json), ElementsAre("schema", "recording", "segments", "observations", "totals", "failures"));
  EXPECT_EQ(json["schema"], 1);
  EXPECT_THAT(keys(json["recording"]), ElementsAre("id", "path", "duration_s", "captured_at", "status"));
  EXPECT_THAT(keys(json["segments"][0]), ElementsAre("start_s", "end_s", "activity", "apps", "topics", "description"));
  EXPECT_THAT(keys(json["observations"][0]),
              ElementsAre("timestamp_s", "description", "activity", "apps", "topics", "status", "source_timestamp_s"));
  EXPECT_THAT(keys(json["totals"]), ElementsAre("by_activity", "by_app"));
  EXPECT_THAT(keys(json["failures"][0]),
              ElementsAre("timestamp_s", "status", "error_code", "error", "attempts", "raw_response"));
}

TEST(ReportJson, EveryStatusIsWrittenWithWhatItHas) {
  const Json json = Json::parse(to_json(small_report()));
  std::vector<std::string> statuses;
  for (const Json& observation : json["observations"]) statuses.push_back(observation["status"]);
  EXPECT_THAT(statuses, ElementsAre("described", "unchanged", "unchanged", "failed", "described", "described",
                                    "unparsed", "pending"));
  EXPECT_EQ(json["observations"][0]["source_timestamp_s"], nullptr);
  EXPECT_EQ(json["observations"][2]["source_timestamp_s"], 0.0);
  EXPECT_EQ(json["observations"][2]["description"], "A function is written.");
  ASSERT_EQ(json["failures"].size(), 2U);
  EXPECT_EQ(json["failures"][0], Json::parse(R"({"timestamp_s":30.0,"status":"failed","error_code":"deadline_exceeded",
    "error":"the frame was not described within 60 s","attempts":3,"raw_response":null})"));
  EXPECT_EQ(json["failures"][1]["raw_response"], "I see a screen.");
  EXPECT_EQ(json["recording"]["status"], "summarised");
}

TEST(ReportJson, TotalsCountASegmentForItsMainAppOnly) {
  const Json json = Json::parse(to_json(sample_report()));
  double by_activity = 0;
  double by_app = 0;
  for (const auto& [name, seconds] : json["totals"]["by_activity"].items()) by_activity += seconds.get<double>();
  for (const auto& [name, seconds] : json["totals"]["by_app"].items()) by_app += seconds.get<double>();
  EXPECT_DOUBLE_EQ(by_activity, 180);
  EXPECT_DOUBLE_EQ(by_app, 180);
  EXPECT_EQ(json["totals"]["by_app"].begin().key(), "TablePlus");  // the longest first
  EXPECT_EQ(json["totals"]["by_app"]["TablePlus"], 76.0);
  EXPECT_EQ(json["totals"]["by_activity"]["querying"], 76.0);
}

TEST(ReportJson, AnEmptyReportIsComplete) {
  EXPECT_EQ(to_json({}), R"({"schema":1,"recording":{"id":"","path":"","duration_s":0.0,"captured_at":null,)"
                         R"("status":"known"},"segments":[],"observations":[],"totals":{"by_activity":{},"by_app":{}},)"
                         R"("failures":[]})"
                         "\n");
}

TEST(ReportJson, TimesAreRoundedToAThousandthAndNeverBreakTheJson) {
  Report report = small_report();
  report.segments[0].end_s = 39.99999999;
  report.observations[0].timestamp_s = 0.1234567;
  report.recording.info.duration_s = std::numeric_limits<double>::quiet_NaN();
  report.segments[1].end_s = std::numeric_limits<double>::infinity();
  const Json json = Json::parse(to_json(report));
  EXPECT_EQ(json["segments"][0]["end_s"], 40.0);
  EXPECT_EQ(json["observations"][0]["timestamp_s"], 0.123);
  EXPECT_EQ(json["recording"]["duration_s"], nullptr);
}

TEST(ReportJson, AnyTextSurvivesAndBytesThatAreNotUtf8AreReplaced) {
  for (const std::string& attack : attacks()) {
    const std::string text = to_json(report_with(attack));
    ASSERT_TRUE(is_valid_utf8(text)) << attack;
    const Json json = Json::parse(text);
    EXPECT_EQ(json["segments"][0]["description"], to_valid_utf8(attack));
    EXPECT_EQ(json["observations"][0]["apps"][0], to_valid_utf8(attack));
    EXPECT_EQ(json["totals"]["by_app"][to_valid_utf8(attack)], 80.0);
    EXPECT_EQ(text.back(), '\n');
  }
}

std::string page() {
  std::ifstream file(std::string(ESCRIBANO_SOURCE_DIR) + "/docs/report.md");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void add_paths(const Json& json, const std::string& prefix, std::set<std::string>& paths) {
  for (const auto& [key, value] : json.items()) {
    const std::string path = prefix + key;
    paths.insert(path);
    if (path == "totals.by_activity" || path == "totals.by_app") continue;  // their keys are names
    if (value.is_object()) add_paths(value, path + ".", paths);
    if (value.is_array() && !value.empty() && value[0].is_object()) add_paths(value[0], path + "[].", paths);
  }
}

TEST(ReportPage, DocumentsExactlyTheFieldsThatThereAre) {
  std::set<std::string> real;
  add_paths(Json::parse(to_json(small_report())), "", real);
  std::set<std::string> documented;
  std::istringstream lines(page());
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("## ")) inside = line == "## JSON";
    if (inside && line.starts_with("| `")) documented.insert(line.substr(3, line.find('`', 3) - 3));
  }
  EXPECT_EQ(documented, real);
}

TEST(ReportPage, NamesEveryStatus) {
  for (int status = 0; status <= static_cast<int>(ObservationStatus::unchanged); ++status) {
    EXPECT_THAT(page(),
                HasSubstr("`" + std::string(observation_status_name(static_cast<ObservationStatus>(status))) + "`"));
  }
  for (int state = 0; state <= static_cast<int>(RecordingState::summarised); ++state) {
    EXPECT_THAT(page(), HasSubstr("`" + std::string(recording_state_name(static_cast<RecordingState>(state))) + "`"));
  }
}

TEST(ReportPage, TheExampleOfASubtitleIsWhatIsWritten) {
  const std::string srt = to_srt(small_report());
  EXPECT_THAT(page(), HasSubstr("```srt\n" + srt.substr(0, srt.find("\n\n")) + "\n```"));
}

}  // namespace
}  // namespace escribano
