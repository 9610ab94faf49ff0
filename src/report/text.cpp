#include "report/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/file.h"
#include "base/utf8.h"

namespace escribano::report {
namespace {

constexpr double kMaxTimeS = 1e9;  // about 31 years; beyond it a time is a mistake and would only break the layout

double shown_time(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return 0;
  return std::min(seconds, kMaxTimeS);
}

// Bytes of the character at `at` that is not shown as it is, 0 for others. `text` is valid UTF-8.
std::size_t hidden_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(i < text.size() ? text[i] : 0); };
  const std::uint8_t first = byte(at);
  if (first < 0x20 || first == 0x7F) return 1;
  if (first == 0xC2 && byte(at + 1) < 0xA0) return 2;                                                   // U+0080-009F
  if (first == 0xE2 && byte(at + 1) == 0x80 && byte(at + 2) >= 0xA8 && byte(at + 2) <= 0xAE) return 3;  // U+2028-202E
  if (first == 0xE2 && byte(at + 1) == 0x81 && byte(at + 2) >= 0xA6 && byte(at + 2) <= 0xA9) return 3;  // U+2066-2069
  if (first == 0xEF && byte(at + 1) == 0xBB && byte(at + 2) == 0xBF) return 3;                          // U+FEFF
  return 0;
}

bool turns_direction(std::string_view character) {
  return character.size() == 3 && character != "\xE2\x80\xA8" && character != "\xE2\x80\xA9";
}

std::string cleaned(std::string_view raw, bool keep_lines) {
  const std::string text = to_valid_utf8(raw);
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t hidden = hidden_length(text, i);
    if (keep_lines && text[i] == '\n') {
      out += '\n';
    } else if (hidden != 0) {
      const bool blank = !turns_direction(std::string_view(text).substr(i, hidden)) && !(keep_lines && text[i] == '\r');
      if (blank && (keep_lines || (!out.empty() && out.back() != ' '))) out += ' ';
    } else if (text[i] != ' ' || keep_lines || (!out.empty() && out.back() != ' ')) {
      out += text[i];
    }
    i += hidden == 0 ? 1 : hidden;
  }
  while (!out.empty() && (out.back() == ' ' || out.back() == '\n')) out.pop_back();
  return out;
}

void show(std::string& text) { text = shown_line(text); }

// Names that show nothing are left out.
void show(std::vector<std::string>& texts) {
  for (std::string& text : texts) show(text);
  std::erase_if(texts, [](const std::string& text) { return text.empty(); });
}

}  // namespace

std::string shown_line(std::string_view text) { return cleaned(text, /*keep_lines=*/false); }
std::string shown_text(std::string_view text) { return cleaned(text, /*keep_lines=*/true); }

Report shown(const Report& report) {
  Report result;
  result.recording = report.recording;
  result.segments = report.segments;
  result.observations = report.observations;
  result.artefacts = report.artefacts;
  result.left_out_apps = report.left_out_apps;
  result.program = shown_line(report.program);
  RecordingInfo& info = result.recording.info;
  info.path = shown_line(printable(info.path));
  info.duration_s = shown_time(info.duration_s);
  for (std::string* text : {&info.id, &info.codec, &info.captured_at}) show(*text);
  show(result.recording.warnings);
  show(result.left_out_apps);
  for (Segment& segment : result.segments) {
    segment.start_s = shown_time(segment.start_s);
    segment.end_s = std::max(segment.start_s, shown_time(segment.end_s));
    for (std::string* text : {&segment.activity, &segment.description}) show(*text);
    for (auto* texts : {&segment.apps, &segment.topics}) show(*texts);
  }
  for (Observation& observation : result.observations) {
    observation.timestamp_s = shown_time(observation.timestamp_s);
    if (observation.source_timestamp_s) observation.source_timestamp_s = shown_time(*observation.source_timestamp_s);
    for (std::string* text : {&observation.description, &observation.activity, &observation.error_code,
                              &observation.error, &observation.raw_response, &observation.model}) {
      show(*text);
    }
    for (auto* texts : {&observation.apps, &observation.topics}) show(*texts);
  }
  for (Artefact& artefact : result.artefacts) {
    artefact.text = shown_text(artefact.text);
    show(artefact.model);
    show(artefact.notes);
  }
  return result;
}

std::string length_text(double seconds) {
  const double length = shown_time(seconds);
  if (const double tenths = std::round(length * 10); tenths < 100 && std::fmod(tenths, 10) != 0) {
    return fmt::format("{:.1f} s", tenths / 10);
  }
  const auto whole = static_cast<std::int64_t>(std::llround(length));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) {
    return whole % 60 == 0 ? fmt::format("{} min", whole / 60) : fmt::format("{} min {} s", whole / 60, whole % 60);
  }
  const std::int64_t minutes = (whole + 30) / 60;
  return minutes % 60 == 0 ? fmt::format("{} h", minutes / 60) : fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

std::string date_text(std::string_view iso) {
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:ddZ";
  constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                        "May",       "June",     "July",     "August",
                                                        "September", "October",  "November", "December"};
  if (iso.size() != kForm.size()) return std::string(iso);
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    if (kForm[i] == 'd' ? iso[i] < '0' || iso[i] > '9' : iso[i] != kForm[i]) return std::string(iso);
  }
  const int month = (iso[5] - '0') * 10 + (iso[6] - '0');
  const int day = (iso[8] - '0') * 10 + (iso[9] - '0');
  if (month < 1 || month > 12) return std::string(iso);
  return fmt::format("{} {} {}, {} UTC", day, kMonths.at(static_cast<std::size_t>(month - 1)), iso.substr(0, 4),
                     iso.substr(11, 5));
}

std::string counted(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string capitalised(std::string_view word) {
  std::string result(word);
  if (!result.empty() && result[0] >= 'a' && result[0] <= 'z') result[0] = static_cast<char>(result[0] - 'a' + 'A');
  return result;
}

std::string joined(std::span<const std::string> words) { return fmt::format("{}", fmt::join(words, ", ")); }

std::string recording_name(const RecordingInfo& info) {
  const std::string name = shown_line(printable(info.path.filename()));
  return name.empty() ? "recording" : name;
}

}  // namespace escribano::report
