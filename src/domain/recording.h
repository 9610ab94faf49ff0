#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace escribano {

// What is known of a recording without looking at its pictures.
struct RecordingInfo {
  std::string id;              // 32 hexadecimal digits made from the whole content: the same file under any name
  std::filesystem::path path;  // where it was found last; absolute
  std::uint64_t bytes = 0;
  double duration_s = 0;  // from the first frame to the end of the last
  int width_px = 0;       // as shown, after rotation
  int height_px = 0;
  std::string codec;        // "h264"
  std::string captured_at;  // "2026-01-31T12:00:00Z" as the container says; empty where it does not

  friend bool operator==(const RecordingInfo&, const RecordingInfo&) = default;
};

// Why a frame was picked.
enum class SampleReason : std::uint8_t {
  first,     // the beginning
  scene,     // much of the screen changed here
  interval,  // the base interval
  gap,       // stands in for frames that could not be decoded
  last,      // the last frame
};
std::string_view sample_reason_name(SampleReason reason) noexcept;  // "first", "scene", ... Static storage.
std::optional<SampleReason> sample_reason_from_name(std::string_view name) noexcept;

// What makes a frame count as unchanged, or as showing again what was shown before, so that it is not described again.
enum class UnchangedRule : std::uint8_t {
  none,   // nothing: every frame is described
  exact,  // every pixel equals those of an earlier described frame
  still,  // or: no block of 16x16 pixels differs from one described not long ago by more than what encoding a video adds
  similar,  // or: the perceptual hash is near that of one described not long ago
};
std::string_view unchanged_rule_name(UnchangedRule rule) noexcept;
std::optional<UnchangedRule> unchanged_rule_from_name(std::string_view name) noexcept;

struct SamplingOptions {
  double interval_s = 10;           // at least one frame in this time; over 0
  double gap_threshold_s = 15;      // a longer stretch in which nothing could be decoded is looked at again
  double gap_fill_s = 3;            // ... at this spacing; never more frames than were lost
  double scene_threshold = 0.4;     // share of the picture that must change, 0 to 1
  double scene_min_interval_s = 2;  // scene changes nearer than this to a frame already picked are not picked
  UnchangedRule unchanged = UnchangedRule::still;
  double still_threshold = 4;        // mean difference of the luma of a block, of 255 levels, that is still nothing
  int similar_threshold = 4;         // bits of 64 in which the perceptual hashes may differ
  int thumbnail_width_px = 320;      // 16 to 1024
  std::size_t max_frames = 100'000;  // more than this is refused with too_large
  // Pictures of frames to be described that are kept in memory for FrameSource::picture(), the first ones up to so many bytes.
  // Has no effect on which frames are picked.
  std::size_t kept_pictures_bytes = 0;

  // Every problem, one sentence each; empty when the options can be used.
  std::vector<std::string> validate() const;
  // One line that names every value that has an effect on which frames are picked. Equal texts give equal samples.
  std::string key() const;
};

// One picked frame.
struct SampledFrame {
  // The instant that was asked for, in whole milliseconds from the first frame on; of first, scene and last frames the one at
  // which they appear. Shows the last frame that appeared at or before it.
  double timestamp_s = 0;
  SampleReason reason = SampleReason::interval;
  double scene_score = 0;             // share of the blocks that changed since the picked frame before; 0 to 1
  std::string content_hash;           // 32 hexadecimal digits, of the pixels
  std::uint64_t perceptual_hash = 0;  // 64 gradients of brightness (dHash)
  std::optional<std::size_t> source;  // unchanged: index of the earlier frame of the sample whose description it shares
  double change =
      0;  // against that frame, or where there is none the one valid before: largest mean difference of a block, 0 to 255
  std::vector<std::byte> thumbnail;  // JPEG; empty where `source` is set

  friend bool operator==(const SampledFrame&, const SampledFrame&) = default;
};

struct Sampling {
  std::vector<SampledFrame> frames;   // in order of time, no two at the same timestamp, never empty
  std::vector<std::string> warnings;  // what was wrong with the recording, one sentence each: cut off, damaged at 12 s
};

// How far the sampling is. `picked` counts frames, `position_s` is a time of the recording.
struct SamplingProgress {
  double position_s = 0;
  double duration_s = 0;
  std::size_t picked = 0;
};

// How far a recording is. Each state follows from the one before by one step that can be repeated.
enum class RecordingState : std::uint8_t {
  known,       // it was opened
  sampled,     // its frames are picked
  described,   // each of them has an observation that needs no further try
  segmented,   // its segments are stored
  summarised,  // its artefacts are stored
};
std::string_view recording_state_name(RecordingState state) noexcept;
std::optional<RecordingState> recording_state_from_name(std::string_view name) noexcept;

enum class ObservationStatus : std::uint8_t {
  pending,    // not described yet
  described,  // the four fields hold the answer
  unparsed,   // the model answered, but not in the form asked for
  failed,     // `error` says why there is no answer
  unchanged,  // shows what the earlier frame at `source_timestamp_s` shows; the four fields are that frame's
};
std::string_view observation_status_name(ObservationStatus status) noexcept;
std::optional<ObservationStatus> observation_status_from_name(std::string_view name) noexcept;

// What a frame of a recording shows.
struct Observation {
  std::size_t position = 0;  // of the frame in the sample, from 0
  double timestamp_s = 0;
  ObservationStatus status = ObservationStatus::pending;
  std::string description;
  std::string activity;  // as the model said it
  std::vector<std::string> apps;
  std::vector<std::string> topics;
  std::string raw_response;                  // of an unparsed answer
  std::string error_code;                    // errc_name() where failed
  std::string error;                         // a sentence, where failed
  int attempts = 0;                          // runs that tried to describe it
  std::string model;                         // that described it
  int generation_tokens = 0;                 // of the answer
  double model_ms = 0;                       // vision, prefill and decode, as the backend says
  std::optional<double> source_timestamp_s;  // set where unchanged

  friend bool operator==(const Observation&, const Observation&) = default;
};

// A stretch of the same work. Segments of a recording follow each other without gaps and overlaps.
struct Segment {
  double start_s = 0;
  double end_s = 0;                 // over start_s
  std::string activity;             // one of the fixed set (pipeline/activity.h)
  std::vector<std::string> apps;    // the one that was used longest first
  std::vector<std::string> topics;  // likewise
  std::string description;          // of its most typical frame

  friend bool operator==(const Segment&, const Segment&) = default;
};

enum class ArtefactFormat : std::uint8_t { card, standup, narrative };
std::string_view artefact_format_name(ArtefactFormat format) noexcept;
std::optional<ArtefactFormat> artefact_format_from_name(std::string_view name) noexcept;

// A text about a recording, in Markdown.
struct Artefact {
  ArtefactFormat format = ArtefactFormat::card;
  std::string text;                // complete, with its notes at the end
  std::string model;               // the LLM that wrote it; empty: put together from the segments without one
  std::vector<std::string> notes;  // what was left out or removed, and why; one sentence each, also part of `text`
  std::string key;                 // what it was made from; empty until it is stored

  friend bool operator==(const Artefact&, const Artefact&) = default;
};

}  // namespace escribano
