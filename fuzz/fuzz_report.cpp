// What is made of the texts of a model: segments, an artefact that a language model wrote, and every form of a report. Whatever they
// say, the page has the elements it would have without them, and all of it is text.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "domain/intelligence_service.h"
#include "pipeline/exclusion.h"
#include "pipeline/segments.h"
#include "pipeline/summary.h"
#include "report/report.h"

namespace {

using namespace escribano;

constexpr std::size_t kMaxInput = 4096;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

// Hands the input out piece by piece; pieces end at bytes of value 0.
class Pieces {
 public:
  explicit Pieces(std::string_view input) : left_(input) {}
  std::string next() {
    const std::size_t end = std::min(left_.find('\0'), left_.size());
    std::string piece(left_.substr(0, end));
    left_.remove_prefix(std::min(end + 1, left_.size()));
    return piece;
  }

 private:
  std::string_view left_;
};

// A language model that says what it is told to.
class Parrot final : public IntelligenceService {
 public:
  explicit Parrot(std::string text) : text_(std::move(text)) {}
  DescribeOutcome describe_images(std::span<const Frame>, const DescribeOptions&, const OnImageProcessed&) override {
    return {};
  }
  Result<GeneratedText> generate_text(std::string_view, const GenerateOptions&) override {
    return GeneratedText{.text = text_};
  }

 private:
  std::string text_;
};

std::size_t count_of(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

std::vector<Observation> observations_of(Pieces& pieces) {
  std::vector<Observation> observations;
  for (std::size_t i = 0; i < 4; ++i) {
    Observation observation;
    observation.position = i;
    observation.timestamp_s = 10 * static_cast<double>(i);
    observation.status = ObservationStatus::described;
    observation.description = pieces.next();
    observation.activity = pieces.next();
    observation.apps = {pieces.next(), pieces.next()};
    observation.topics = {pieces.next()};
    observations.push_back(std::move(observation));
  }
  return observations;
}

// The same report with nothing in it that a model wrote.
Report without_texts(Report report) {
  report.recording.info.path = "/r/monday.mp4";
  for (Artefact& artefact : report.artefacts) artefact.text = "Nothing.\n";
  for (Observation& observation : report.observations) {
    observation.description = "Nothing.";
    observation.activity = "other";
    observation.apps.clear();
    observation.topics.clear();
  }
  for (Segment& segment : report.segments) {
    segment.description = "Nothing.";
    segment.apps.clear();
    segment.topics.clear();
  }
  return report;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > kMaxInput) return 0;
  Pieces pieces(std::string_view(reinterpret_cast<const char*>(data), size));
  Parrot parrot(pieces.next());
  Report report;
  report.recording.info.path = pieces.next();
  report.recording.info.duration_s = 40;
  report.observations = observations_of(pieces);
  report.segments = segment(report.observations, 40, {.min_segment_s = 5});
  require(!report.segments.empty() && report.segments.front().start_s == 0 && report.segments.back().end_s == 40,
          "segments cover the recording");

  for (const ArtefactFormat format : {ArtefactFormat::card, ArtefactFormat::standup, ArtefactFormat::narrative}) {
    SummaryOptions options;
    options.format = format;
    options.model = "parrot";
    const Result<Artefact> written = summarise(report.segments, report.recording.info, parrot, options);
    require(written.has_value() && !written->text.empty(), "there is always an artefact");
    require(is_valid_utf8(written->text), "an artefact is well-formed");
    report.artefacts.push_back(*written);
  }

  const std::string html = to_html(report);
  require(is_valid_utf8(html), "the page is well-formed");
  const std::string harmless = to_html(without_texts(report));
  for (const std::string_view element :
       {"<script", "<iframe", "<object", "<embed", "<form", "<img", "<link", "<style"}) {
    require(count_of(html, element) == count_of(harmless, element), "no text becomes an element");
  }
  require(is_valid_utf8(to_json(report)) && is_valid_utf8(to_markdown(report)) && is_valid_utf8(to_srt(report)),
          "the other forms are well-formed");

  const std::vector<std::string> excluded = {pieces.next()};
  const Shared shared = without_apps(report.observations, report.segments, excluded);
  require(shared.segments.size() <= report.segments.size(), "leaving out adds nothing");
  return 0;
}
