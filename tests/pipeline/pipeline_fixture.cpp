#include "pipeline/pipeline_fixture.h"

#include <algorithm>

#include <fmt/format.h>

namespace escribano {

FakeSource::FakeSource(std::size_t frames) : frames_(frames) {
  info_.id = "0123456789abcdef0123456789abcdef";
  info_.path = "/recordings/monday.mp4";
  info_.bytes = 1000;
  info_.duration_s = 10 * static_cast<double>(frames);
  info_.width_px = 1280;
  info_.height_px = 720;
  info_.codec = "h264";
}

Result<Sampling> FakeSource::sample(const SamplingOptions& options,
                                    const std::function<void(const SamplingProgress&)>& on_progress,
                                    std::stop_token stop) {
  ++samplings;
  if (stop.stop_requested()) return fail(Errc::cancelled, "stopped");
  if (on_progress) on_progress({.position_s = 1, .duration_s = info_.duration_s, .picked = 1});
  Sampling sampling;
  sampling.warnings = warnings;
  const auto step = static_cast<std::size_t>(std::max(1.0, options.interval_s / 10));
  for (std::size_t i = 0; i < frames_; i += step) {
    SampledFrame frame;
    frame.timestamp_s = 10 * static_cast<double>(i);
    frame.content_hash = fmt::format("{:032x}", i);
    if (unchanged.contains(i)) {
      frame.source = sampling.frames.back().source.value_or(sampling.frames.size() - 1);
    } else {
      frame.thumbnail = {std::byte{1}, std::byte{2}};
    }
    sampling.frames.push_back(std::move(frame));
  }
  return sampling;
}

Result<AnonymousFile> FakeSource::picture(double timestamp_s) {
  if (undecodable.contains(timestamp_s)) return fail(Errc::corrupt, "damaged at {} s", timestamp_s);
  return AnonymousFile::create("frame", {});
}

DescribeOutcome FakeModel::describe_images(std::span<const Frame> images, const DescribeOptions& options,
                                           const OnImageProcessed& on_image_processed) {
  calls.emplace_back();
  for (const Frame& image : images) calls.back().push_back(image.timestamp_s);
  if (before_call) before_call();
  DescribeOutcome outcome;
  if (error) {
    outcome.status = fail(*error);
    return outcome;
  }
  for (std::size_t i = 0; i < images.size(); ++i) {
    const double at = images[i].timestamp_s;
    if (options.stop.stop_requested()) {
      outcome.status = fail(Errc::cancelled, "stopped");
      return outcome;
    }
    if (deadly.contains(at)) {
      outcome.status = fail(Errc::bridge_died, "the bridge died");
      return outcome;
    }
    FrameResult result;
    result.index = i;
    result.timestamp_s = at;
    result.stats.generation_tokens = 10;
    if (fails.contains(at)) {
      result.error = Error{Errc::inference_failed, fmt::format("no luck at {}", at)};
    } else if (unparsed.contains(at)) {
      result.raw_response = "I cannot say.";
    } else {
      result.description = fmt::format("The editor shows file{}.cpp.", at);
      result.activity = "coding";
      result.apps = {"VS Code"};
      result.topics = {"atlas"};
    }
    outcome.results.push_back(result);
    if (on_image_processed) on_image_processed(result, {.current = i + 1, .total = images.size()});
  }
  return outcome;
}

Result<GeneratedText> FakeModel::generate_text(std::string_view prompt, const GenerateOptions& options) {
  prompts.emplace_back(prompt);
  if (options.stop.stop_requested()) return fail(Errc::cancelled, "stopped");
  if (!write) return fail(Errc::backend_error, "the model server said no");
  return write(prompt);
}

}  // namespace escribano
