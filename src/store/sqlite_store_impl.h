#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "domain/store.h"
#include "store/sqlite_database.h"

namespace escribano {

// The port over one connection. One file a group of functions: store_recordings.cpp, store_sampling.cpp and so on.
class SqliteStore final : public Store {
 public:
  explicit SqliteStore(std::unique_ptr<Database> database) : database_(std::move(database)) {}

  Status add_recording(const RecordingInfo& info, std::string_view now) override;
  Result<StoredRecording> recording(std::string_view id_or_prefix) override;
  Result<std::vector<StoredRecording>> recordings() override;
  Status reset_recording(std::string_view id, std::string_view now) override;

  Status save_sampling(std::string_view id, const Sampling& sampling, std::string_view key,
                       std::string_view now) override;
  Status restart_description(std::string_view id, std::string_view key, std::string_view now) override;
  Result<std::vector<Observation>> observations(std::string_view id) override;
  Status save_observations(std::string_view id, std::span<const Observation> observations) override;
  Status finish_description(std::string_view id, std::string_view now) override;
  Status save_segments(std::string_view id, std::span<const Segment> segments, std::string_view key,
                       std::string_view now) override;
  Result<std::vector<Segment>> segments(std::string_view id) override;
  Status save_artefacts(std::string_view id, std::span<const Artefact> artefacts, std::string_view now) override;
  Result<std::vector<Artefact>> artefacts(std::string_view id) override;
  Result<std::vector<Thumbnail>> thumbnails(std::string_view id) override;

  Result<std::int64_t> begin_run(std::string_view id, std::string_view program, std::string_view now) override;
  Status add_step(std::int64_t run, const StepStats& stats) override;
  Result<std::vector<StoredRun>> runs(std::string_view id) override;

  Result<std::vector<SearchHit>> search(std::string_view words, const SearchOptions& options) override;

 private:
  const Database& db() const { return *database_; }
  // The number of the recording with exactly this id; not_found.
  Result<std::int64_t> number_of(std::string_view id) const;
  // Within a transaction: the new state, and when it changed.
  Status set_state(std::int64_t recording, RecordingState state, std::string_view now) const;
  // Within a transaction: takes described frames out of the search, before they change. All of a recording, or one.
  Status unindex_recording(std::int64_t recording) const;
  Result<std::vector<SearchHit>> best_hits(std::string_view query, std::int64_t recording, std::size_t limit) const;

  std::unique_ptr<Database> database_;
};

// Columns of an observation from `first` on, in this order; see read_observation.
inline constexpr std::string_view kObservationColumns =
    "o.status, o.description, o.activity, o.apps, o.topics, o.raw_response, o.error_code, o.error, o.attempts, "
    "o.model, o.generation_tokens, o.model_ms";

// What these columns say; position and times are left to the caller.
Result<Observation> read_observation(const Database& database, const Statement& row, int first);

// Takes a frame's description out of the search, and puts it in; binds the frame's number. Frames that are not described
// are not in it.
inline constexpr std::string_view kUnindexFrame =
    "INSERT INTO words (words, rowid, description, apps, topics) "
    "SELECT 'delete', frame, description, apps, topics FROM described_words WHERE frame = ?1";
inline constexpr std::string_view kIndexFrame =
    "INSERT INTO words (rowid, description, apps, topics) "
    "SELECT frame, description, apps, topics FROM described_words WHERE frame = ?1";

}  // namespace escribano
