#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "report/report.h"

namespace escribano::report {

// `text` as one line that can be shown: valid UTF-8; control characters and line breaks become spaces, runs of spaces one;
// the characters that turn the direction of what follows (U+202A-202E, U+2066-2069) are gone.
std::string shown_line(std::string_view text);
// The same with its line breaks ("\n") and the spaces at the beginning of lines.
std::string shown_text(std::string_view text);
// Every text of the report as shown_line() and shown_text() give it, every time finite and at least 0. Without thumbnails.
Report shown(const Report& report);

// "9.5 s", "48 s", "12 min 30 s", "2 h 5 min": a length, to the nearest second, or tenth under 10 s.
std::string length_text(double seconds);
// "31 January 2026, 12:00 UTC" of "2026-01-31T12:00:00Z"; anything else as it is.
std::string date_text(std::string_view iso);
// "1 frame", "2 frames".
std::string counted(std::size_t count, std::string_view noun);
// "Coding" of "coding"; only ASCII letters change.
std::string capitalised(std::string_view word);
// Joined with ", ".
std::string joined(std::span<const std::string> words);
// The file's name, "recording" where there is none.
std::string recording_name(const RecordingInfo& info);

}  // namespace escribano::report
