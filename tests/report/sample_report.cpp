#include "report/sample_report.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "image/encode.h"
#include "image/image.h"

namespace escribano {
namespace {

using Json = nlohmann::json;

const std::filesystem::path kSamples = std::filesystem::path(ESCRIBANO_SOURCE_DIR) / "assets" / "samples";

Json truth() {
  const auto text = read_text_file(kSamples / "session-a.truth.json", 1 << 20);
  if (!text) throw std::runtime_error(text.error().message);
  return Json::parse(*text);
}

// A quarter as wide and high, as thumbnails are.
std::vector<std::byte> thumbnail(std::span<const std::byte> jpeg) {
  constexpr int kFactor = 4;
  const auto image = decode_image(jpeg, {}, "sample");
  if (!image) throw std::runtime_error(image.error().message);
  Image small = {.width_px = image->width_px / kFactor, .height_px = image->height_px / kFactor, .rgb = {}};
  for (int y = 0; y < small.height_px; ++y) {
    for (int x = 0; x < small.width_px; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        int sum = 0;
        for (int i = 0; i < kFactor * kFactor; ++i) {
          const int row = y * kFactor + i / kFactor;
          const int column = x * kFactor + i % kFactor;
          sum += image->rgb.at(static_cast<std::size_t>((row * image->width_px + column) * 3 + channel));
        }
        small.rgb.push_back(static_cast<std::uint8_t>(sum / (kFactor * kFactor)));
      }
    }
  }
  return encode_jpeg(small, {.quality = 80});
}

// The pictures by the scene that they show.
std::vector<Thumbnail> pictures() {
  std::vector<Thumbnail> found;
  for (const char* at : {"006.0", "018.0", "033.0", "065.5", "079.0", "122.0", "163.0", "174.0"}) {
    auto bytes = read_file(kSamples / "frames" / fmt::format("session-a-{}s.jpg", at), 1 << 20);
    if (!bytes) throw std::runtime_error(bytes.error().message);
    found.push_back({std::stod(at), thumbnail(*bytes)});
  }
  return found;
}

StoredRecording sample_recording() {
  StoredRecording recording;
  recording.info = {.id = "3f1c0d9a7be2446f9a5c1e0b7d2f8a64",
                    .path = "/recordings/2026-01-31 session-a.mp4",
                    .bytes = 1'234'567,
                    .duration_s = 180,
                    .width_px = 1280,
                    .height_px = 720,
                    .codec = "h264",
                    .captured_at = "2026-01-31T12:00:00Z"};
  recording.state = RecordingState::summarised;
  return recording;
}

void count(Report& report) {
  StoredRecording& recording = report.recording;
  recording.frames = report.observations.size();
  recording.segments = report.segments.size();
  for (const Observation& observation : report.observations) {
    recording.described += observation.status == ObservationStatus::described ? 1U : 0U;
    recording.unchanged += observation.status == ObservationStatus::unchanged ? 1U : 0U;
    recording.failed +=
        observation.status == ObservationStatus::failed || observation.status == ObservationStatus::unparsed ? 1U : 0U;
  }
}

Observation described(double at, std::string description, std::string activity, std::vector<std::string> apps,
                      std::vector<std::string> topics) {
  Observation observation;
  observation.timestamp_s = at;
  observation.status = ObservationStatus::described;
  observation.description = std::move(description);
  observation.activity = std::move(activity);
  observation.apps = std::move(apps);
  observation.topics = std::move(topics);
  observation.model = "demo";
  observation.attempts = 1;
  return observation;
}

Observation unchanged(double at, const Observation& source) {
  Observation observation = source;
  observation.timestamp_s = at;
  observation.status = ObservationStatus::unchanged;
  observation.source_timestamp_s = source.timestamp_s;
  return observation;
}

Observation failed(double at) {
  Observation observation;
  observation.timestamp_s = at;
  observation.status = ObservationStatus::failed;
  observation.error_code = "deadline_exceeded";
  observation.error = "the frame was not described within 60 s";
  observation.attempts = 3;
  return observation;
}

constexpr std::string_view kCard = R"(# 3 minutes across two projects

Work on **zephyr-weather** and **atlas-search**, most of it in the database client.

## What was done

- Queried the `users` table of zephyr-weather and the `documents` table of atlas-search
- Sprint planning call with four people
- Debugged a failing service log in the terminal
  - the error was traced to the cache
- Wrote the integration guide for atlas-search

| project | time |
|---|---:|
| atlas-search | 1 min 37 s |
| zephyr-weather | 1 min 23 s |

*Put together from the segments without a language model.*
)";
constexpr std::string_view kStandup = R"(**Done**

1. Sprint planning for zephyr-weather
2. Release checklist of atlas-search reviewed
3. Integration guide written

**Next**

- Finish the performance fix in atlas-search
)";
constexpr std::string_view kNarrative =
    R"(The session starts in TablePlus with a query on the users table of zephyr-weather, with a Figma window open behind it. After a look at the release checklist of atlas-search comes a sprint planning call.

Then the log of a service is followed in the terminal, and most of the remaining time goes into the database of atlas-search and its integration guide.
)";

}  // namespace

Report sample_report() {
  Report report;
  report.recording = sample_recording();
  report.program = "escribano 0.1.0";
  const std::vector<Thumbnail> scenes = pictures();
  const Json spans = truth().at("spans");
  for (const Json& span : spans) {
    Segment segment = {.start_s = span.at("start"),
                       .end_s = span.at("end"),
                       .activity = span.at("activity"),
                       .apps = span.at("apps"),
                       .topics = span.at("topics"),
                       .description = span.at("description")};
    // The picture of the same scene, wherever in the recording it was taken.
    const Thumbnail* scene = nullptr;
    for (const Thumbnail& picture : scenes) {
      for (const Json& other : spans) {
        if (other.at("start") <= picture.timestamp_s && picture.timestamp_s < other.at("end") &&
            other.at("description") == span.at("description")) {
          scene = &picture;
        }
      }
    }
    const bool changing = span.at("changing");
    for (double at = std::ceil(segment.start_s / 3) * 3; at < segment.end_s; at += 3) {
      if (!changing && !report.observations.empty()) {
        const auto source = std::find_if(report.observations.rbegin(), report.observations.rend(),
                                         [](const auto& o) { return o.status == ObservationStatus::described; });
        report.observations.push_back(unchanged(at, Observation(*source)));
      } else if (at == 66) {
        report.observations.push_back(failed(at));
      } else {
        report.observations.push_back(
            described(at, segment.description, segment.activity, segment.apps, segment.topics));
        if (scene != nullptr) report.thumbnails.push_back({at, scene->jpeg});
      }
    }
    report.segments.push_back(std::move(segment));
  }
  for (std::size_t i = 0; i < report.observations.size(); ++i) report.observations[i].position = i;
  report.artefacts = {{ArtefactFormat::card, std::string(kCard), "", {}},
                      {ArtefactFormat::standup, std::string(kStandup), "qwen3", {}},
                      {ArtefactFormat::narrative, std::string(kNarrative), "qwen3", {}}};
  report.recording.warnings = {"The picture is damaged from 97.2 s to 97.6 s; the frames around it were used."};
  report.left_out_apps = {"Messages"};
  count(report);
  return report;
}

std::vector<std::string> attacks() {
  return {"</script><script>window.__pwned=1;alert(1)</script>",
          "<img src=x onerror=\"window.__pwned=1;alert(1)\">",
          "\"><svg onload=alert(1)>",
          "' autofocus onfocus='window.__pwned=1' x='",
          "[click](javascript:alert(1)) ![x](https://example.com/x.png) <https://example.com> https://example.com",
          "]]> --> <!-- <![CDATA[",
          "{{title}} {{css}} $& $1 @PAGE_css@ %s {0}",
          "bad \xFF\xC0\x80\xED\xA0\x80 bytes",
          "right \xE2\x80\xAE to left \xE2\x81\xA6 isolate",
          "line\nbreak\r\n\r\n00:00:01,000 --> 00:00:02,000\n\nmore",
          "| a | b |\n|---|---|\n# heading\n> quote\n`code` *star* _under_ ~~strike~~",
          "nul \x01\x02\x7F\x1B[31m",
          "\xE2\x80\xA8line\xE2\x80\xA9paragraph",
          std::string(10'000, 'w'),
          "&lt;b&gt; &amp;lt; &#60;"};
}

Report report_with(std::string_view text) {
  const std::string hostile(text);
  Report report = small_report();
  StoredRecording& recording = report.recording;
  recording.info.id = hostile;
  recording.info.path = "/recordings/" + hostile;
  recording.info.codec = hostile;
  recording.info.captured_at = hostile;
  recording.warnings = {hostile};
  recording.updated_at = hostile;
  report.left_out_apps = {hostile};
  report.program = hostile;
  for (Segment& segment : report.segments) {
    segment.activity = hostile;
    segment.apps = {hostile, "Safe"};
    segment.topics = {hostile};
    segment.description = hostile;
  }
  for (Observation& observation : report.observations) {
    observation.description = hostile;
    observation.activity = hostile;
    observation.apps = {hostile};
    observation.topics = {hostile};
    observation.raw_response = hostile;
    observation.error_code = hostile;
    observation.error = hostile;
    observation.model = hostile;
  }
  report.artefacts = {{ArtefactFormat::card, hostile, hostile, {hostile}},
                      {ArtefactFormat::standup, "# " + hostile + "\n- **" + hostile + "**\n", "", {}}};
  return report;
}

Report small_report() {
  Report report;
  report.recording = sample_recording();
  report.recording.info.duration_s = 100;
  report.program = "escribano 0.1.0";
  report.segments = {{0, 40, "coding", {"VS Code", "Terminal"}, {"search"}, "A function is written."},
                     {60, 100, "reading", {"Firefox"}, {"search", "weather"}, "A page about caches."}};
  const Observation first = described(0, "A function is written.", "coding", {"VS Code", "Terminal"}, {"search"});
  report.observations = {first,
                         unchanged(10, first),
                         unchanged(20, first),
                         failed(30),
                         described(60, "A page about caches.", "reading", {"Firefox"}, {"search"}),
                         described(70, "A map of the weather.", "reading", {"Firefox"}, {"weather"})};
  Observation unparsed = failed(80);
  unparsed.status = ObservationStatus::unparsed;
  unparsed.error_code.clear();
  unparsed.error.clear();
  unparsed.raw_response = "I see a screen.";
  report.observations.push_back(unparsed);
  Observation pending;
  pending.timestamp_s = 90;
  report.observations.push_back(pending);
  for (std::size_t i = 0; i < report.observations.size(); ++i) report.observations[i].position = i;
  count(report);
  return report;
}

Report long_report(std::size_t frames) {
  const Report sample = sample_report();
  Report report = sample;
  report.observations.clear();
  report.segments.clear();
  report.thumbnails.clear();
  constexpr double kIntervalS = 10;
  const double length_s = kIntervalS * static_cast<double>(frames);
  for (std::size_t i = 0; i < frames; ++i) {
    const double at = kIntervalS * static_cast<double>(i);
    const Segment& shown = sample.segments[i / 20 % sample.segments.size()];
    report.observations.push_back(described(at, shown.description, shown.activity, shown.apps, shown.topics));
    report.thumbnails.push_back({at, sample.thumbnails[i % sample.thumbnails.size()].jpeg});
    if (i % 20 == 0) {
      report.segments.push_back(shown);
      report.segments.back().start_s = at;
      report.segments.back().end_s = std::min(length_s, at + 20 * kIntervalS);
    }
  }
  report.recording.info.duration_s = length_s;
  report.recording.described = report.recording.unchanged = report.recording.failed = 0;
  count(report);
  return report;
}

}  // namespace escribano
