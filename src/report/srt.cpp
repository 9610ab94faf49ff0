#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "report/report.h"
#include "report/text.h"
#include "report/timeline.h"

namespace escribano {
namespace {

constexpr std::size_t kLineCharacters = 80;

struct Subtitle {
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::string head;  // "Coding · VS Code"
  std::string text;
};

std::int64_t milliseconds(double seconds) { return std::llround(seconds * 1000); }

std::string timestamp(std::int64_t ms) {
  return fmt::format("{:02}:{:02}:{:02},{:03}", ms / 3'600'000, ms / 60'000 % 60, ms / 1000 % 60, ms % 1000);
}

// Players take <b> and {\an8} as markup, and "-->" can look like the line of times.
std::string without_markup(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 3) == "-->") {
      out += "\xE2\x86\x92";  // an arrow
      i += 2;
    } else {
      out += text[i];
      if (text[i] == '<' || text[i] == '{') out += "\xE2\x81\xA0";  // a word joiner: seen by players, not by people
    }
  }
  return out;
}

// Lines of at most kLineCharacters characters; a word that is longer is cut. `text` is valid UTF-8 with single spaces.
std::string wrapped(std::string_view text) {
  std::string out;
  std::size_t used = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto starts_character = [](char c) { return (static_cast<std::uint8_t>(c) & 0xC0) != 0x80; };
    const auto length = static_cast<std::size_t>(std::count_if(word.begin(), word.end(), starts_character));
    if (used > 0 && used + 1 + length > kLineCharacters) {
      out += '\n';
      used = 0;
    } else if (used > 0) {
      out += ' ';
      ++used;
    }
    for (const char c : word) {
      if (starts_character(c)) {
        if (used == kLineCharacters) {
          out += '\n';
          used = 0;
        }
        ++used;
      }
      out += c;
    }
  }
  return out;
}

std::string head_of(const Observation& observation) {
  std::string head = report::capitalised(observation.activity);
  if (!observation.apps.empty()) head += (head.empty() ? "" : " \xC2\xB7 ") + observation.apps.front();
  return head;
}

bool has_text(const Observation& observation) {
  return (observation.status == ObservationStatus::described || observation.status == ObservationStatus::unchanged) &&
         !(observation.description.empty() && observation.activity.empty());
}

// Where the stretch of segments around `time_s` ends; without one the end of the recording.
double covered_until(std::span<const report::Stretch> covered, double time_s, double length_s) {
  const auto after =
      std::upper_bound(covered.begin(), covered.end(), time_s,
                       [](double time, const report::Stretch& stretch) { return time < stretch.start_s; });
  return after == covered.begin() || std::prev(after)->end_s <= time_s ? length_s : std::prev(after)->end_s;
}

std::vector<Subtitle> subtitles(const Report& shown) {
  std::vector<Subtitle> list;
  const double length = report::timeline_length_s(shown);
  const std::vector<report::Stretch> covered = report::covered(shown.segments);
  bool open = false;  // the last subtitle lasts until this frame
  for (std::size_t i = 0; i < shown.observations.size(); ++i) {
    const Observation& observation = shown.observations[i];
    if (!has_text(observation)) {
      open = false;
      continue;
    }
    const double next = i + 1 < shown.observations.size() ? shown.observations[i + 1].timestamp_s : length;
    // Time that was left out of the report has no subtitle.
    const double covered_end = covered_until(covered, observation.timestamp_s, length);
    const std::int64_t start = milliseconds(observation.timestamp_s);
    std::int64_t end = milliseconds(std::min(next, covered_end));
    // The last instant of the recording has no length, and a subtitle has one.
    if (i + 1 == shown.observations.size()) end = std::max(end, start + 500);
    Subtitle subtitle = {start, end, head_of(observation), observation.description};
    if (open && !list.empty() && list.back().head == subtitle.head && list.back().text == subtitle.text) {
      list.back().end_ms = std::max(list.back().end_ms, end);
    } else if (end > start) {
      list.push_back(std::move(subtitle));
    }
    open = covered_end >= next;
  }
  return list;
}

}  // namespace

std::string to_srt(const Report& report) {
  std::string out;
  int number = 0;
  for (const Subtitle& subtitle : subtitles(report::shown(report))) {
    out += fmt::format("{}\n{} --> {}\n", ++number, timestamp(subtitle.start_ms), timestamp(subtitle.end_ms));
    for (const std::string* part : {&subtitle.head, &subtitle.text}) {
      if (!part->empty()) out += wrapped(without_markup(*part)) + "\n";
    }
    out += "\n";
  }
  return out;
}

}  // namespace escribano
