#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "domain/recording.h"

namespace escribano {

// What a step was done with. A step whose key differs from the one stored is done again.
struct StepKeys {
  std::string sampling;     // SamplingOptions::key()
  std::string description;  // model, prompt and the like
  std::string segments;

  friend bool operator==(const StepKeys&, const StepKeys&) = default;
};

struct StoredRecording {
  RecordingInfo info;
  RecordingState state = RecordingState::known;
  StepKeys keys;
  std::string added_at;               // UTC, "2026-01-31T12:00:00Z"
  std::string updated_at;             // when `state` changed last
  std::vector<std::string> warnings;  // of its sampling
  std::size_t frames = 0;             // sampled
  std::size_t described = 0;          // observations with status described
  std::size_t unchanged = 0;
  std::size_t failed = 0;  // failed or unparsed
  std::size_t segments = 0;
};

// One run of one step, for statistics.
struct StepStats {
  std::string step;       // "sample", "describe", "segment", "summarise"
  std::string outcome;    // "done", "cancelled", "failed"
  std::string detail;     // of a failure: the message
  std::size_t items = 0;  // frames picked, frames described, segments, artefacts
  double seconds = 0;
  int generation_tokens = 0;
  double model_ms = 0;
};

struct StoredRun {
  std::int64_t id = 0;
  std::string recording_id;
  std::string started_at;
  std::string program;  // "escribano 0.1.0"
  std::vector<StepStats> steps;
};

struct Thumbnail {
  double timestamp_s = 0;
  std::vector<std::byte> jpeg;
};

struct SearchHit {
  std::string recording_id;
  std::string path;
  Observation observation;  // status described
};

struct SearchOptions {
  std::size_t limit = 20;
  std::string recording_id;  // empty: all
};

// The port behind which everything is kept. What a function wrote is durable when it returns, and all of it or nothing is
// written. Not thread-safe: one caller at a time; other processes may use the same store meanwhile. All functions fail with
// io_error (disk full named as such), corrupt, not_permitted or overloaded (another process holds the store for too long);
// where nothing is said to the contrary with not_found for an unknown recording.
//
// Times of day are passed in, in UTC as "2026-01-31T12:00:00Z".
class Store {
 public:
  virtual ~Store() = default;

  // Makes a recording known, or updates where it was found (path, captured_at); its state stays.
  virtual Status add_recording(const RecordingInfo& info, std::string_view now) = 0;
  // By id or by an unambiguous beginning of one of at least 4 digits. Fails with not_found, or invalid_argument where more than
  // one recording begins so, naming them.
  virtual Result<StoredRecording> recording(std::string_view id_or_prefix) = 0;
  // All of them, those that changed last first.
  virtual Result<std::vector<StoredRecording>> recordings() = 0;
  // Removes everything but that it is known and what its runs took: for a run that starts over.
  virtual Status reset_recording(std::string_view id, std::string_view now) = 0;

  // Replaces the sample. What is stored for frames with the same timestamp and content hash stays, everything else of this
  // recording goes: other observations, segments, artefacts. The state becomes sampled, keys.sampling `key`.
  virtual Status save_sampling(std::string_view id, const Sampling& sampling, std::string_view key,
                               std::string_view now) = 0;
  // Forgets every observation, segment and artefact: another model is to describe the frames. keys.description becomes `key`,
  // the state sampled.
  virtual Status restart_description(std::string_view id, std::string_view key, std::string_view now) = 0;
  // The observations of all frames in order of time; those of unchanged frames have the fields of their source. A frame
  // without an observation is pending.
  virtual Result<std::vector<Observation>> observations(std::string_view id) = 0;
  // Inserts or replaces those of these positions (status described, unparsed or failed; attempts as given).
  virtual Status save_observations(std::string_view id, std::span<const Observation> observations) = 0;
  // Replaces `model`-independent state: every frame has its final observation. The state becomes described; segments and
  // artefacts stay until they are replaced.
  virtual Status finish_description(std::string_view id, std::string_view now) = 0;
  // Replaces all segments and removes the artefacts; the state becomes segmented, keys.segments `key`.
  virtual Status save_segments(std::string_view id, std::span<const Segment> segments, std::string_view key,
                               std::string_view now) = 0;
  virtual Result<std::vector<Segment>> segments(std::string_view id) = 0;
  // Replaces the artefact of each format given, keeps others; the state becomes summarised.
  virtual Status save_artefacts(std::string_view id, std::span<const Artefact> artefacts, std::string_view now) = 0;
  virtual Result<std::vector<Artefact>> artefacts(std::string_view id) = 0;
  // In order of time.
  virtual Result<std::vector<Thumbnail>> thumbnails(std::string_view id) = 0;

  virtual Result<std::int64_t> begin_run(std::string_view id, std::string_view program, std::string_view now) = 0;
  virtual Status add_step(std::int64_t run, const StepStats& stats) = 0;
  virtual Result<std::vector<StoredRun>> runs(std::string_view id) = 0;  // the latest first

  // Described frames whose description, apps or topics hold all of `words` (any case, with or without accents; a word with '*'
  // at its end stands for its beginning), best first, then by recording and time. No operators: any text may be searched
  // for. Fails with invalid_argument where there is no word in it.
  virtual Result<std::vector<SearchHit>> search(std::string_view words, const SearchOptions& options) = 0;
};

}  // namespace escribano
