// list, show and search: what is stored.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/clock_text.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/library.h"
#include "cli/terminal.h"

namespace escribano::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string dumped(const Json& document) {
  return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json captured_at(const RecordingInfo& info) { return info.captured_at.empty() ? Json() : Json(info.captured_at); }

// The day of a time of day; "-" where there is none.
std::string day_of(const std::string& time) { return time.empty() ? "-" : time.substr(0, 10); }

std::string list_json(const std::vector<StoredRecording>& recordings) {
  Json rows = Json::array();
  for (const StoredRecording& recording : recordings) {
    rows.push_back({{"id", recording.info.id},
                    {"path", printable(recording.info.path)},
                    {"duration_s", recording.info.duration_s},
                    {"captured_at", captured_at(recording.info)},
                    {"status", recording_state_name(recording.state)},
                    {"frames", recording.frames},
                    {"described", recording.described},
                    {"unchanged", recording.unchanged},
                    {"failed", recording.failed},
                    {"segments", recording.segments},
                    {"added_at", recording.added_at},
                    {"updated_at", recording.updated_at}});
  }
  return dumped({{"schema", 1}, {"recordings", std::move(rows)}});
}

std::string list_text(const std::vector<StoredRecording>& recordings) {
  std::string text =
      fmt::format("{:8}  {:10}  {:>8}  {:10}  {:>9}  {}\n", "ID", "RECORDED", "LENGTH", "STATE", "DESCRIBED", "FILE");
  for (const StoredRecording& recording : recordings) {
    const std::size_t wanted = recording.frames - std::min(recording.frames, recording.unchanged);
    text += fmt::format("{:8}  {:10}  {:>8}  {:10}  {:>9}  {}\n", short_id(recording.info.id),
                        day_of(recording.info.captured_at), clock_text(recording.info.duration_s),
                        recording_state_name(recording.state), fmt::format("{}/{}", recording.described, wanted),
                        recording_name(recording.info));
  }
  return text;
}

Result<ExitCode> list(bool json, const Environment& environment) {
  ESCRIBANO_TRY(const Settings settings, Settings::read(environment));
  ESCRIBANO_TRY(const std::unique_ptr<Store> store, open_library(settings));
  ESCRIBANO_TRY(const std::vector<StoredRecording> recordings, store->recordings());
  if (recordings.empty() && !json) {
    fmt::print(stderr, "escribano: nothing has been processed yet: 'escribano process RECORDING' does\n");
    return ExitCode::done;
  }
  ESCRIBANO_CHECK(print_out(json ? list_json(recordings) : list_text(recordings)));
  return ExitCode::done;
}

std::string steps_text(const std::vector<StoredRun>& runs) {
  std::string text;
  for (const StoredRun& run : runs) {
    text += fmt::format("  {}  {}", run.started_at, run.program);
    for (const StepStats& step : run.steps) {
      text += fmt::format("\n    {:9}  {:9}  {:>5}  {:.1f} s", step.step, step.outcome, step.items, step.seconds);
      if (step.model_ms > 0) text += fmt::format("  ({:.1f} s in the model)", step.model_ms / 1000);
      if (!step.detail.empty()) text += "  " + step.detail;
    }
    text += "\n";
  }
  return text;
}

std::string show_text(const Report& report, const std::vector<StoredRun>& runs) {
  const StoredRecording& recording = report.recording;
  std::string text = fmt::format(
      "{}\n  id {}\n  {}, {}x{}, {}; recorded {}\n", printable(recording.info.path), recording.info.id,
      clock_text(recording.info.duration_s), recording.info.width_px, recording.info.height_px, recording.info.codec,
      recording.info.captured_at.empty() ? "at an unknown time" : recording.info.captured_at);
  text += fmt::format("  {}: {} frames, {} described, {} unchanged, {} without a description\n",
                      recording_state_name(recording.state), recording.frames, recording.described, recording.unchanged,
                      recording.failed);
  for (const std::string& warning : recording.warnings) text += "  " + warning + "\n";
  if (!report.segments.empty()) text += "\nSegments\n";
  for (const Segment& segment : report.segments) {
    text += fmt::format("  {:>7}-{:<7}  {:10}  {}\n", clock_text(segment.start_s), clock_text(segment.end_s),
                        segment.activity, fmt::join(segment.apps, ", "));
    for (const std::string& line : wrapped(segment.description, 60)) text += "                    " + line + "\n";
  }
  if (!runs.empty()) text += "\nRuns\n" + steps_text(runs);
  return text;
}

Result<ExitCode> show(const std::string& name, bool json, const Environment& environment) {
  ESCRIBANO_TRY(const Settings settings, Settings::read(environment));
  ESCRIBANO_TRY(const std::unique_ptr<Store> store, open_library(settings));
  ESCRIBANO_TRY(const StoredRecording recording, find_recording(*store, name));
  ESCRIBANO_TRY(const Report report, load_report(*store, recording, {}));
  ESCRIBANO_TRY(const std::vector<StoredRun> runs, store->runs(recording.info.id));
  ESCRIBANO_CHECK(print_out(json ? to_json(report) : show_text(report, runs)));
  return ExitCode::done;
}

struct SearchArguments {
  std::vector<std::string> words;
  std::string recording;
  std::size_t limit = 20;
  bool json = false;
};

std::string hits_json(const std::vector<SearchHit>& hits) {
  Json rows = Json::array();
  for (const SearchHit& hit : hits) {
    rows.push_back({{"recording_id", hit.recording_id},
                    {"path", printable(std::filesystem::path(hit.path))},
                    {"timestamp_s", hit.observation.timestamp_s},
                    {"description", hit.observation.description},
                    {"activity", hit.observation.activity},
                    {"apps", hit.observation.apps},
                    {"topics", hit.observation.topics}});
  }
  return dumped({{"schema", 1}, {"hits", std::move(rows)}});
}

// Whether two frames of a recording are described in the same words, which are then shown once.
bool is_same(const SearchHit& a, const SearchHit& b) {
  return a.recording_id == b.recording_id && a.observation.description == b.observation.description &&
         a.observation.apps == b.observation.apps;
}

std::string hits_text(const std::vector<SearchHit>& hits, std::size_t columns) {
  constexpr std::size_t kShownTimes = 5;
  std::string text;
  for (std::size_t at = 0; at < hits.size();) {
    const SearchHit& first = hits[at];
    std::size_t end = at;
    while (end < hits.size() && is_same(first, hits[end])) ++end;
    std::string times;
    for (std::size_t i = at; i < std::min(end, at + kShownTimes); ++i) {
      times += (times.empty() ? "" : ", ") + clock_text(hits[i].observation.timestamp_s);
    }
    if (end - at > kShownTimes) times += fmt::format(" and {} more", end - at - kShownTimes);
    text += fmt::format("{} at {}  {}  ({})\n", printable(std::filesystem::path(first.path).filename()), times,
                        short_id(first.recording_id), fmt::join(first.observation.apps, ", "));
    for (const std::string& line : wrapped("  " + first.observation.description, columns)) text += line + "\n";
    at = end;
  }
  return text;
}

Result<ExitCode> search(const SearchArguments& arguments, const Environment& environment) {
  ESCRIBANO_TRY(const Settings settings, Settings::read(environment));
  ESCRIBANO_TRY(const std::unique_ptr<Store> store, open_library(settings));
  SearchOptions options = {.limit = arguments.limit};
  if (!arguments.recording.empty()) {
    ESCRIBANO_TRY(const StoredRecording recording, find_recording(*store, arguments.recording));
    options.recording_id = recording.info.id;
  }
  ESCRIBANO_TRY(const std::vector<SearchHit> hits,
                store->search(fmt::format("{}", fmt::join(arguments.words, " ")), options));
  if (arguments.json) {
    ESCRIBANO_CHECK(print_out(hits_json(hits)));
    return ExitCode::done;
  }
  ESCRIBANO_CHECK(print_out(hits_text(hits, static_cast<std::size_t>(terminal_columns(STDOUT_FILENO)))));
  if (hits.empty()) fmt::print(stderr, "escribano: no frame shows that\n");
  if (hits.size() == options.limit) {
    fmt::print(stderr, "escribano: the best {} are shown; --limit shows more\n", options.limit);
  }
  return ExitCode::done;
}

}  // namespace

void add_list_command(CLI::App& app, const Environment& environment, ExitCode& exit_code) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("list", "The recordings that were processed");
  command->footer("Those that changed last come first.\n\nExample:\n  escribano list");
  command->add_flag("--json", *json, "As JSON");
  command->callback([json, environment, &exit_code] { exit_code = exit_with(list(*json, environment)); });
}

void add_show_command(CLI::App& app, const Environment& environment, ExitCode& exit_code) {
  auto json = std::make_shared<bool>(false);
  auto name = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("show", "What is stored about a recording: segments, frames, runs");
  command->footer(
      "--json is a stable interface and has every observation (docs/report.md).\n\n"
      "Example:\n  escribano show 5b1e90aa --json");
  command->add_option("RECORDING|ID", *name, "A recording, or its id from 'escribano list'")->required();
  command->add_flag("--json", *json, "As JSON");
  command->callback([json, name, environment, &exit_code] { exit_code = exit_with(show(*name, *json, environment)); });
}

void add_search_command(CLI::App& app, const Environment& environment, ExitCode& exit_code) {
  auto arguments = std::make_shared<SearchArguments>();
  CLI::App* command = app.add_subcommand("search", "Find frames by words of their descriptions, apps and topics");
  command->footer(
      "A frame is found if it has all the words, in any case; one that ends with * stands for its beginning. The best "
      "come first.\n\nExample:\n  escribano search payment 'refund*'");
  command->add_option("WORD", arguments->words, "What to look for")->required()->option_text("...");
  command->add_option("--in", arguments->recording, "Only in this recording, or its id")->option_text("RECORDING|ID");
  command->add_option("--limit", arguments->limit, "How many at most (default: 20)")
      ->check(CLI::Range(1, 100'000))
      ->option_text("N");
  command->add_flag("--json", arguments->json, "As JSON");
  command->callback([arguments, environment, &exit_code] { exit_code = exit_with(search(*arguments, environment)); });
}

}  // namespace escribano::cli
