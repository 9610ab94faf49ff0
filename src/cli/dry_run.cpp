#include "cli/dry_run.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "base/clock_text.h"
#include "base/file.h"
#include "cli/library.h"
#include "cli/process_progress.h"
#include "cli/terminal.h"

namespace escribano::cli {
namespace {

std::string_view reason_text(SampleReason reason) {
  switch (reason) {
    case SampleReason::first: return "the first frame";
    case SampleReason::scene: return "a new scene";
    case SampleReason::interval: return "the base interval";
    case SampleReason::gap: return "near frames that cannot be decoded";
    case SampleReason::last: return "the last frame";
  }
  return "";
}

std::string rule_text(const SamplingOptions& options) {
  switch (options.unchanged) {
    case UnchangedRule::none: return "every frame is described";
    case UnchangedRule::exact: return "the same: every pixel as in an earlier frame";
    case UnchangedRule::still:
      return fmt::format("the same: no block of 16x16 pixels differs by more than {} of 255 on average",
                         options.still_threshold);
    case UnchangedRule::similar:
      return fmt::format("the same: as still ({} of 255), or at most {} of 64 bits of the perceptual hash differ",
                         options.still_threshold, options.similar_threshold);
  }
  return "";
}

std::string to_text(const Sampling& sampling, const SamplingOptions& options) {
  std::string text;
  for (const SampledFrame& frame : sampling.frames) {
    std::string line = fmt::format("{:>9}  ", clock_text(frame.timestamp_s));
    if (frame.source) {
      line += fmt::format("same as at {}, largest change {:.1f}",
                          clock_text(sampling.frames[*frame.source].timestamp_s), frame.change);
    } else {
      line += fmt::format("describe: {}", reason_text(frame.reason));
      if (frame.reason == SampleReason::scene) line += fmt::format(", {:.0f} % changed", 100 * frame.scene_score);
    }
    text += line + "\n";
  }
  return text + rule_text(options) + "\n";
}

std::string to_json(const FrameSource& source, const Sampling& sampling, const SamplingOptions& options) {
  using Json = nlohmann::ordered_json;
  Json frames = Json::array();
  for (const SampledFrame& frame : sampling.frames) {
    Json row = {{"timestamp_s", frame.timestamp_s},
                {"reason", sample_reason_name(frame.reason)},
                {"describe", !frame.source.has_value()},
                {"scene_score", frame.scene_score},
                {"change", frame.change}};
    row["source_timestamp_s"] = frame.source ? Json(sampling.frames[*frame.source].timestamp_s) : Json();
    frames.push_back(std::move(row));
  }
  const Json document = {{"schema", 1},
                         {"recording", {{"id", source.info().id}, {"path", printable(source.info().path)}}},
                         {"unchanged", unchanged_rule_name(options.unchanged)},
                         {"still_threshold", options.still_threshold},
                         {"similar_threshold", options.similar_threshold},
                         {"frames", std::move(frames)},
                         {"warnings", sampling.warnings}};
  return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

Status dry_run(FrameSource& source, const SamplingOptions& options, bool json, std::stop_token stop) {
  StepBar bar;
  const auto sampling = source.sample(
      options,
      [&](const SamplingProgress& at) {
        bar.update({Step::sample, at.position_s, at.duration_s});
      },
      std::move(stop));
  bar.clear();
  if (!sampling) return fail(sampling.error());
  ESCRIBANO_CHECK(print_out(json ? to_json(source, *sampling, options) : to_text(*sampling, options)));
  const auto unchanged =
      static_cast<std::size_t>(std::count_if(sampling->frames.begin(), sampling->frames.end(),
                                             [](const SampledFrame& frame) { return frame.source.has_value(); }));
  for (const std::string& warning : sampling->warnings) fmt::print(stderr, "escribano: {}\n", warning);
  fmt::print(stderr, "escribano: {}: {} of {} frames would be described\n", recording_name(source.info()),
             sampling->frames.size() - unchanged, sampling->frames.size());
  return {};
}

}  // namespace escribano::cli
