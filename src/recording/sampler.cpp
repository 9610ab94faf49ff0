#include "recording/sampler.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "recording/sample_plan.h"
#include "recording/scene_scan.h"
#include "recording/series_thread.h"

namespace escribano::recording {
namespace {

// Warnings are for people: more of them than this are counted only.
constexpr std::size_t kMaxWarnings = 20;
// Of the whole way, for the progress: looking for scene changes.
constexpr double kScanShare = 0.2;

double seconds(std::int64_t ms) { return static_cast<double>(ms) / 1000; }

class Sampler {
 public:
  Sampler(const MediaFile& file, const Presentation& presentation, const SamplingOptions& options, FrameReader& reader,
          KeptPictures& kept, std::function<void(std::int64_t, std::size_t)> on_position)
      : options_(options),
        reader_(reader),
        converter_(presentation, file.name()),
        series_(options, kept),
        on_position_(std::move(on_position)) {}

  Status run(const std::vector<PlannedInstant>& plan) {
    for (const PlannedInstant& instant : plan) {
      ESCRIBANO_TRY(const ShownFrame shown, reader_.frame_at(instant.at_ms));
      if (shown.trust == Trust::intact) {
        // Converted before the gap is filled: that moves the reader.
        ESCRIBANO_TRY(Image image, converter_.convert(*shown.frame));
        ESCRIBANO_CHECK(close_gap(instant.at_ms));
        ESCRIBANO_CHECK(add(instant.at_ms, instant.reason, std::move(image)));
      } else {
        lost_.push_back(instant.at_ms);
      }
      if (on_position_) on_position_(instant.at_ms, series_.added());
    }
    if (lost_.empty()) return {};
    ESCRIBANO_CHECK(close_gap(reader_.end_ms()));
    return add_last(plan.back().at_ms);
  }

  // Once, after run().
  Result<std::vector<SampledFrame>> frames() { return series_.finish(); }
  std::vector<std::string>& warnings() { return warnings_; }

 private:
  Status add(std::int64_t at_ms, SampleReason reason, Image image) {
    ESCRIBANO_CHECK(series_.add(at_ms, reason, std::move(image)));
    added_ms_ = at_ms;
    return {};
  }

  // What was lost between the frame added last and `to_ms` is looked at again, more closely and less strictly.
  Status close_gap(std::int64_t to_ms) {
    if (lost_.empty()) return {};
    const std::vector<std::int64_t> lost = std::exchange(lost_, {});
    const std::int64_t from_ms = added_ms_.value_or(0);
    // The beginning may itself be what was lost.
    std::vector<std::int64_t> instants = plan_gap(from_ms, to_ms, options_);
    const std::int64_t spacing_ms = keep_spacing_ms(from_ms, to_ms, lost.size());
    std::size_t found = 0;
    std::int64_t kept_ms = from_ms;
    bool is_suspect = false;
    for (const std::int64_t at_ms : instants) {
      if (found == lost.size()) break;
      if (at_ms - kept_ms < spacing_ms) continue;
      ESCRIBANO_TRY(const ShownFrame shown, reader_.frame_at(at_ms));
      if (shown.trust == Trust::damaged) continue;
      is_suspect = is_suspect || shown.trust == Trust::suspect;
      ESCRIBANO_TRY(Image image, converter_.convert(*shown.frame));
      ESCRIBANO_CHECK(add(at_ms, SampleReason::gap, std::move(image)));
      kept_ms = at_ms;
      ++found;
    }
    warn(
        fmt::format("between {:.1f} s and {:.1f} s the recording is damaged: {} frames could not be decoded, {} others "
                    "stand in for them{}",
                    seconds(lost.front()), seconds(to_ms), lost.size(), found,
                    is_suspect ? ", in which remains of the damage may be seen" : ""));
    return {};
  }

  // The last frame was lost: the last one that can be read stands in for it.
  Status add_last(std::int64_t last_ms) {
    ESCRIBANO_TRY(const ShownFrame shown, reader_.frame_at(last_ms));
    const ShownFrame& readable = shown.trust == Trust::damaged ? reader_.last_readable() : shown;
    if (readable.frame == nullptr || (added_ms_ && readable.at_ms <= *added_ms_)) return {};
    ESCRIBANO_TRY(Image image, converter_.convert(*readable.frame));
    return add(readable.at_ms, SampleReason::last, std::move(image));
  }

  void warn(std::string text) {
    if (warnings_.size() < kMaxWarnings) {
      warnings_.push_back(std::move(text));
    } else if (warnings_.size() == kMaxWarnings) {
      warnings_.emplace_back("more stretches of the recording are damaged");
    }
  }

  const SamplingOptions& options_;
  FrameReader& reader_;
  RgbConverter converter_;
  SeriesThread series_;
  std::function<void(std::int64_t, std::size_t)> on_position_;
  std::vector<std::int64_t> lost_;
  std::optional<std::int64_t> added_ms_;
  std::vector<std::string> warnings_;
};

}  // namespace

Result<Sampling> sample_recording(const MediaFile& file, const StreamIndex& index, const Presentation& presentation,
                                  const SamplingOptions& options, KeptPictures& kept,
                                  const std::function<void(const SamplingProgress&)>& on_progress,
                                  const std::stop_token& stop) {
  ESCRIBANO_TRY(const std::unique_ptr<FrameReader> reader, FrameReader::open(file, index, stop));
  const double duration_s = seconds(reader->end_ms());
  const auto report = [&](double position_s, std::size_t picked) {
    if (on_progress) on_progress({std::min(position_s, duration_s), duration_s, picked});
  };
  ESCRIBANO_TRY(const std::vector<SceneCandidate> candidates,
                scan_scenes(
                    file, index, presentation, options.still_threshold,
                    [&](std::int64_t at_ms) { report(kScanShare * seconds(at_ms), 0); }, stop));
  ESCRIBANO_TRY(const std::vector<PlannedInstant> plan,
                plan_samples({reader->last_ms(), reader->end_ms()}, candidates, options));

  Sampler sampler(file, presentation, options, *reader, kept, [&](std::int64_t at_ms, std::size_t picked) {
    report(kScanShare * duration_s + (1 - kScanShare) * seconds(at_ms), picked);
  });
  ESCRIBANO_CHECK(sampler.run(plan));
  ESCRIBANO_TRY(std::vector<SampledFrame> frames, sampler.frames());
  if (frames.empty()) return fail(Errc::corrupt, "{}: none of its frames can be decoded", file.name());
  report(duration_s, frames.size());
  Sampling sampling{std::move(frames), index.warnings};
  for (std::string& warning : sampler.warnings()) sampling.warnings.push_back(std::move(warning));
  return sampling;
}

}  // namespace escribano::recording
