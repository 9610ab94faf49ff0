#include "cli/library.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/core.h>

#include "base/file.h"
#include "pipeline/artefacts.h"
#include "pipeline/exclusion.h"
#include "pipeline/names.h"
#include "recording/recording_file.h"
#include "store/sqlite_store.h"

namespace escribano::cli {
namespace {

// Each app once, as it is usually written, so that the spellings of one app are one app to whoever filters by it.
void write_usual_names(std::vector<std::string>& apps) {
  std::vector<std::string> names;
  for (const std::string& app : apps) {
    std::string name = app_name(app);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  apps = std::move(names);
}

// When the frames were that both have with the same description.
std::vector<double> described_alike(const std::vector<Observation>& all, const std::vector<Observation>& kept) {
  std::vector<double> times;
  auto candidate = all.begin();  // both are in order of time
  for (const Observation& observation : kept) {
    candidate = std::find_if(candidate, all.end(),
                             [&](const Observation& other) { return other.position == observation.position; });
    if (candidate == all.end()) break;
    if (observation.status == ObservationStatus::described && *candidate == observation) {
      times.push_back(observation.timestamp_s);
    }
  }
  return times;
}

}  // namespace

std::string utc_now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

std::string program_name() { return "escribano " ESCRIBANO_VERSION; }

Result<std::unique_ptr<Store>> open_library(const Settings& settings) { return open_store(settings.database()); }

Result<StoredRecording> find_recording(Store& store, std::string_view file_or_id) {
  const std::filesystem::path path = std::filesystem::absolute(file_or_id);
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error)) {
    ESCRIBANO_TRY(const std::string id, recording_id(path));
    auto recording = store.recording(id);
    if (!recording && recording.error().code == Errc::not_found) {
      return fail(Errc::not_found, "{} has not been processed: 'escribano process' does", printable(path));
    }
    return recording;
  }
  ESCRIBANO_TRY(const std::vector<StoredRecording> all, store.recordings());
  std::vector<StoredRecording> named;
  for (const StoredRecording& recording : all) {
    if (recording.info.path == path) return recording;
    if (recording.info.path.filename() == std::filesystem::path(file_or_id)) named.push_back(recording);
  }
  if (named.size() == 1) return named.front();
  if (!named.empty()) {
    return fail(Errc::invalid_argument, "{} recordings were called {}: give an id, {} or {}", named.size(),
                printable(std::filesystem::path(file_or_id)), short_id(named[0].info.id), short_id(named[1].info.id));
  }
  auto recording = store.recording(file_or_id);
  if (!recording && recording.error().code == Errc::not_found) {
    return fail(Errc::not_found, "there is no recording '{}', neither a file nor an id: 'escribano list' shows them",
                printable(std::filesystem::path(file_or_id)));
  }
  return recording;
}

Result<Report> load_report(Store& store, const StoredRecording& recording,
                           const std::vector<std::string>& excluded_apps) {
  Report report;
  report.recording = recording;
  report.program = program_name();
  const std::string& id = recording.info.id;
  ESCRIBANO_TRY(report.segments, store.segments(id));
  ESCRIBANO_TRY(report.observations, store.observations(id));
  ESCRIBANO_TRY(report.thumbnails, store.thumbnails(id));
  ESCRIBANO_TRY(report.artefacts, current_artefacts(store, recording, excluded_apps));
  for (Observation& observation : report.observations) write_usual_names(observation.apps);
  if (excluded_apps.empty()) return report;
  Shared shared = without_apps(report.observations, report.segments, excluded_apps);
  report.segments = std::move(shared.segments);
  // A picture shows what its text no longer says: only those stay of whose frames nothing had to be left out.
  const std::vector<double> whole = described_alike(report.observations, shared.observations);
  report.observations = std::move(shared.observations);
  report.left_out_apps = std::move(shared.apps);
  // An answer that did not parse may name anything.
  for (Observation& observation : report.observations) observation.raw_response.clear();
  std::erase_if(report.thumbnails, [&](const Thumbnail& thumbnail) {
    return std::none_of(whole.begin(), whole.end(), [&](double at_s) { return at_s == thumbnail.timestamp_s; });
  });
  return report;
}

std::string short_id(std::string_view id) { return std::string(id.substr(0, 8)); }

std::string recording_name(const RecordingInfo& info) { return printable(info.path.filename()); }

Status print_out(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return fail(Errc::io_error, "standard output cannot be written");
  }
  return {};
}

}  // namespace escribano::cli
