#include <bit>
#include <map>
#include <optional>
#include <set>

#include "store/checks.h"
#include "store/json_list.h"
#include "store/sqlite_store_impl.h"

namespace escribano {
namespace {

struct StoredFrame {
  std::int64_t number = 0;
  std::string content_hash;
};

Result<std::map<double, StoredFrame>> frames_by_time(const Database& database, std::int64_t recording) {
  ESCRIBANO_TRY(Statement rows,
                database.prepare("SELECT number, timestamp_s, content_hash FROM frames WHERE recording = ?1"));
  ESCRIBANO_CHECK(rows.bind(recording));
  std::map<double, StoredFrame> frames;
  while (true) {
    ESCRIBANO_TRY(const bool row, rows.step());
    if (!row) return frames;
    ESCRIBANO_TRY(const double timestamp_s, real_column(database, rows, 1));
    frames.emplace(timestamp_s, StoredFrame{rows.integer(0), rows.text(2)});
  }
}

// The rows of the frames of a new sample, taken over from the old one where time and pixels are the same.
class FrameWriter {
 public:
  FrameWriter(const Database& database, std::int64_t recording) : database_(database), recording_(recording) {}

  Status replace(const Sampling& sampling) {
    ESCRIBANO_TRY(const auto old, frames_by_time(database_, recording_));
    std::vector<std::optional<std::int64_t>> kept(sampling.frames.size());
    std::set<std::int64_t> dropped;
    for (const auto& [timestamp_s, frame] : old) dropped.insert(frame.number);
    for (std::size_t i = 0; i < sampling.frames.size(); ++i) {
      const auto found = old.find(sampling.frames[i].timestamp_s);
      if (found == old.end() || found->second.content_hash != sampling.frames[i].content_hash) continue;
      kept[i] = found->second.number;
      dropped.erase(found->second.number);
    }
    ESCRIBANO_CHECK(drop(dropped));
    // Out of the way of the new positions.
    ESCRIBANO_CHECK(database_.run("UPDATE frames SET position = -1 - position WHERE recording = ?1", recording_));
    return write(sampling, kept);
  }

 private:
  Status drop(const std::set<std::int64_t>& frames) {
    ESCRIBANO_TRY(Statement unindex, database_.prepare(kUnindexFrame));
    ESCRIBANO_TRY(Statement remove, database_.prepare("DELETE FROM frames WHERE number = ?1"));
    for (const std::int64_t frame : frames) {
      ESCRIBANO_CHECK(unindex.run(frame));
      ESCRIBANO_CHECK(remove.run(frame));
    }
    return {};
  }

  Status write(const Sampling& sampling, const std::vector<std::optional<std::int64_t>>& kept) {
    ESCRIBANO_TRY(Statement unindex, database_.prepare(kUnindexFrame));
    ESCRIBANO_TRY(Statement forget, database_.prepare("DELETE FROM observations WHERE frame = ?1"));
    ESCRIBANO_TRY(Statement hide, database_.prepare("DELETE FROM thumbnails WHERE frame = ?1"));
    ESCRIBANO_TRY(Statement show, database_.prepare("INSERT INTO thumbnails (frame, jpeg) VALUES (?1, ?2)"));
    // A number of NULL makes a new row.
    ESCRIBANO_TRY(
        Statement put,
        database_.prepare("INSERT INTO frames (number, recording, position, timestamp_s, reason, scene_score, "
                          "content_hash, perceptual_hash, source_position, change) "
                          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (number) DO UPDATE SET "
                          "position = excluded.position, reason = excluded.reason, scene_score = excluded.scene_score, "
                          "perceptual_hash = excluded.perceptual_hash, source_position = excluded.source_position, "
                          "change = excluded.change"));
    for (std::size_t i = 0; i < sampling.frames.size(); ++i) {
      const SampledFrame& frame = sampling.frames[i];
      if (kept[i]) ESCRIBANO_CHECK(hide.run(*kept[i]));
      if (kept[i] && frame.source) {
        ESCRIBANO_CHECK(unindex.run(*kept[i]));
        ESCRIBANO_CHECK(forget.run(*kept[i]));
      }
      ESCRIBANO_CHECK(put.run(kept[i], recording_, i, frame.timestamp_s, sample_reason_name(frame.reason),
                              frame.scene_score, frame.content_hash, std::bit_cast<std::int64_t>(frame.perceptual_hash),
                              frame.source, frame.change));
      const std::int64_t number = kept[i] ? *kept[i] : database_.last_insert_row();
      if (!frame.thumbnail.empty()) ESCRIBANO_CHECK(show.run(number, Blob(frame.thumbnail)));
    }
    return {};
  }

  const Database& database_;
  std::int64_t recording_;
};

}  // namespace

Status SqliteStore::save_sampling(std::string_view id, const Sampling& sampling, std::string_view key,
                                  std::string_view now) {
  ESCRIBANO_CHECK(check(sampling));
  ESCRIBANO_TRY(Transaction transaction, Transaction::write(db()));
  ESCRIBANO_TRY(const std::int64_t recording, number_of(id));
  ESCRIBANO_CHECK(FrameWriter(db(), recording).replace(sampling));
  ESCRIBANO_CHECK(db().run("DELETE FROM segments WHERE recording = ?1", recording));
  ESCRIBANO_CHECK(db().run("DELETE FROM artefacts WHERE recording = ?1", recording));
  ESCRIBANO_CHECK(
      db().run("UPDATE recordings SET sampling_key = ?2, segments_key = '', "
               "warnings = ?3 WHERE number = ?1",
               recording, key, to_json_list(sampling.warnings)));
  ESCRIBANO_CHECK(set_state(recording, RecordingState::sampled, now));
  return transaction.commit();
}

Status SqliteStore::restart_description(std::string_view id, std::string_view key, std::string_view now) {
  ESCRIBANO_TRY(Transaction transaction, Transaction::write(db()));
  ESCRIBANO_TRY(const std::int64_t recording, number_of(id));
  ESCRIBANO_TRY(const StoredRecording stored, this->recording(id));
  if (stored.frames == 0) return fail(Errc::invalid_argument, "the recording {} has no frames to describe yet", id);
  ESCRIBANO_CHECK(unindex_recording(recording));
  ESCRIBANO_CHECK(
      db().run("DELETE FROM observations WHERE frame IN (SELECT number FROM frames WHERE recording = ?1)", recording));
  ESCRIBANO_CHECK(db().run("DELETE FROM segments WHERE recording = ?1", recording));
  ESCRIBANO_CHECK(db().run("DELETE FROM artefacts WHERE recording = ?1", recording));
  ESCRIBANO_CHECK(
      db().run("UPDATE recordings SET description_key = ?2, segments_key = '' "
               "WHERE number = ?1",
               recording, key));
  ESCRIBANO_CHECK(set_state(recording, RecordingState::sampled, now));
  return transaction.commit();
}

Result<std::vector<Thumbnail>> SqliteStore::thumbnails(std::string_view id) {
  ESCRIBANO_TRY(const Transaction transaction, Transaction::read(db()));
  ESCRIBANO_TRY(const std::int64_t recording, number_of(id));
  ESCRIBANO_TRY(Statement rows, db().prepare("SELECT f.timestamp_s, t.jpeg FROM frames f JOIN thumbnails t "
                                             "ON t.frame = f.number WHERE f.recording = ?1 ORDER BY f.position"));
  ESCRIBANO_CHECK(rows.bind(recording));
  std::vector<Thumbnail> thumbnails;
  while (true) {
    ESCRIBANO_TRY(const bool row, rows.step());
    if (!row) return thumbnails;
    ESCRIBANO_TRY(const double timestamp_s, real_column(db(), rows, 0));
    thumbnails.push_back({timestamp_s, rows.blob(1)});
  }
}

}  // namespace escribano
