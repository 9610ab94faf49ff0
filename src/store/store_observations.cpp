#include <utility>

#include "store/checks.h"
#include "store/json_list.h"
#include "store/sqlite_store_impl.h"

namespace escribano {
namespace {

// Puts observations into the rows of their frames.
class ObservationWriter {
 public:
  static Result<ObservationWriter> make(const Database& database, std::int64_t recording) {
    ESCRIBANO_TRY(Statement find, database.prepare("SELECT number, timestamp_s, source_position FROM frames "
                                                   "WHERE recording = ?1 AND position = ?2"));
    ESCRIBANO_TRY(Statement unindex, database.prepare(kUnindexFrame));
    ESCRIBANO_TRY(
        Statement put,
        database.prepare("INSERT OR REPLACE INTO observations (frame, status, description, activity, apps, topics, "
                         "raw_response, error_code, error, attempts, model, generation_tokens, model_ms) "
                         "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"));
    ESCRIBANO_TRY(Statement index, database.prepare(kIndexFrame));
    return ObservationWriter{database,           recording,      std::move(find),
                             std::move(unindex), std::move(put), std::move(index)};
  }

  Status write(const Observation& observation) {
    ESCRIBANO_TRY(const std::int64_t frame, frame_of(observation));
    ESCRIBANO_CHECK(unindex_.run(frame));
    ESCRIBANO_CHECK(put_.run(frame, observation_status_name(observation.status), observation.description,
                             observation.activity, to_json_list(observation.apps), to_json_list(observation.topics),
                             observation.raw_response, observation.error_code, observation.error, observation.attempts,
                             observation.model, observation.generation_tokens, observation.model_ms));
    return index_.run(frame);
  }

 private:
  ObservationWriter(const Database& database, std::int64_t recording, Statement find, Statement unindex, Statement put,
                    Statement index)
      : database_(&database),
        recording_(recording),
        find_(std::move(find)),
        unindex_(std::move(unindex)),
        put_(std::move(put)),
        index_(std::move(index)) {}

  Result<std::int64_t> frame_of(const Observation& observation) {
    ESCRIBANO_CHECK(find_.bind(recording_, observation.position));
    ESCRIBANO_TRY(const bool row, find_.step());
    // The sample may have been replaced since it was read.
    if (!row || find_.real(1) != observation.timestamp_s) {
      return fail(Errc::invalid_argument, "the sample in {} has no frame {} at {} s", database_->name(),
                  observation.position, observation.timestamp_s);
    }
    if (!find_.is_null(2)) {
      return fail(Errc::invalid_argument, "frame {} is unchanged and has no observation of its own",
                  observation.position);
    }
    return find_.integer(0);
  }

  const Database* database_;
  std::int64_t recording_;
  Statement find_;
  Statement unindex_;
  Statement put_;
  Statement index_;
};

// What a frame shows that looks like the frame `source` before it.
Observation shared_with(const Observation& source) {
  Observation shared;
  shared.status = ObservationStatus::unchanged;
  shared.source_timestamp_s = source.timestamp_s;
  if (source.status != ObservationStatus::described) return shared;
  shared.description = source.description;
  shared.activity = source.activity;
  shared.apps = source.apps;
  shared.topics = source.topics;
  return shared;
}

}  // namespace

Result<Observation> read_observation(const Database& database, const Statement& row, int first) {
  Observation observation;
  if (row.is_null(first)) return observation;  // pending
  ESCRIBANO_TRY(observation.status, enum_column(database, row, first, observation_status_from_name));
  observation.description = row.text(first + 1);
  observation.activity = row.text(first + 2);
  ESCRIBANO_TRY(observation.apps, list_column(database, row, first + 3));
  ESCRIBANO_TRY(observation.topics, list_column(database, row, first + 4));
  observation.raw_response = row.text(first + 5);
  observation.error_code = row.text(first + 6);
  observation.error = row.text(first + 7);
  ESCRIBANO_TRY(observation.attempts, int_column(database, row, first + 8));
  observation.model = row.text(first + 9);
  ESCRIBANO_TRY(observation.generation_tokens, int_column(database, row, first + 10));
  ESCRIBANO_TRY(observation.model_ms, real_column(database, row, first + 11));
  return observation;
}

Result<std::vector<Observation>> SqliteStore::observations(std::string_view id) {
  ESCRIBANO_TRY(const Transaction transaction, Transaction::read(db()));
  ESCRIBANO_TRY(const std::int64_t recording, number_of(id));
  ESCRIBANO_TRY(Statement rows, db().prepare(fmt::format(
                                    "SELECT f.position, f.timestamp_s, f.source_position, {} FROM frames f LEFT JOIN "
                                    "observations o ON o.frame = f.number WHERE f.recording = ?1 ORDER BY f.position",
                                    kObservationColumns)));
  ESCRIBANO_CHECK(rows.bind(recording));
  std::vector<Observation> observations;
  while (true) {
    ESCRIBANO_TRY(const bool row, rows.step());
    if (!row) return observations;
    ESCRIBANO_TRY(const std::size_t position, size_column(db(), rows, 0));
    ESCRIBANO_TRY(const double timestamp_s, real_column(db(), rows, 1));
    if (position != observations.size()) return fail(damaged(db(), fmt::format("frame {} is missing", position)));
    Observation observation;
    if (rows.is_null(2)) {
      ESCRIBANO_TRY(observation, read_observation(db(), rows, 3));
    } else {
      ESCRIBANO_TRY(const std::size_t source, size_column(db(), rows, 2));
      if (source >= observations.size()) {
        return fail(damaged(db(), fmt::format("frame {} has no source", position)));
      }
      observation = shared_with(observations[source]);
    }
    observation.position = position;
    observation.timestamp_s = timestamp_s;
    observations.push_back(std::move(observation));
  }
}

Status SqliteStore::save_observations(std::string_view id, std::span<const Observation> observations) {
  for (const Observation& observation : observations) ESCRIBANO_CHECK(check(observation));
  ESCRIBANO_TRY(Transaction transaction, Transaction::write(db()));
  ESCRIBANO_TRY(const std::int64_t recording, number_of(id));
  {
    ESCRIBANO_TRY(ObservationWriter writer, ObservationWriter::make(db(), recording));
    for (const Observation& observation : observations) ESCRIBANO_CHECK(writer.write(observation));
  }
  return transaction.commit();
}

Status SqliteStore::finish_description(std::string_view id, std::string_view now) {
  ESCRIBANO_TRY(Transaction transaction, Transaction::write(db()));
  ESCRIBANO_TRY(const std::int64_t recording, number_of(id));
  ESCRIBANO_TRY(const StoredRecording stored, this->recording(id));
  const std::size_t final = stored.described + stored.failed + stored.unchanged;
  if (stored.frames == 0 || final < stored.frames) {
    return fail(Errc::invalid_argument, "{} of the {} frames of recording {} have no observation yet",
                stored.frames - final, stored.frames, id);
  }
  ESCRIBANO_CHECK(set_state(recording, RecordingState::described, now));
  return transaction.commit();
}

}  // namespace escribano
