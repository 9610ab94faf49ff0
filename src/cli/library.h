#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/settings.h"
#include "domain/store.h"
#include "report/report.h"

namespace escribano::cli {

// What the commands about stored recordings have in common.

// The time of day, UTC: "2026-01-31T12:00:00Z".
std::string utc_now();
// "escribano 0.1.0"
std::string program_name();

// The database of the settings' home, which is made where it does not exist.
Result<std::unique_ptr<Store>> open_library(const Settings& settings);

// A recording that is stored: by a file with the same content, by the path or the name that its file had, or by its id or the
// beginning of one. Fails with not_found, and with invalid_argument where several are meant, naming them.
Result<StoredRecording> find_recording(Store& store, std::string_view file_or_id);

// Everything that is stored about a recording, without what shows one of `excluded_apps`.
Result<Report> load_report(Store& store, const StoredRecording& recording,
                           const std::vector<std::string>& excluded_apps);

// The beginning of an id that people are shown: 8 digits.
std::string short_id(std::string_view id);
// What a person would call the recording: the name of its file, printable.
std::string recording_name(const RecordingInfo& info);

// Writes to standard output; io_error where that fails.
Status print_out(std::string_view text);

}  // namespace escribano::cli
