#pragma once

#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "cli/settings.h"
#include "domain/recording.h"

namespace escribano::cli {

// Where the page about a recording goes when nobody says: reports/NAME-ID.html under the settings' home.
std::filesystem::path default_report_path(const Settings& settings, const RecordingInfo& info);

// Writes a report, whole or not at all, and makes the folder it lies in.
Status write_report_file(const std::filesystem::path& path, std::string_view content);

}  // namespace escribano::cli
