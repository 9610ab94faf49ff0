#include <algorithm>

#include "base/utf8.h"
#include "store/checks.h"
#include "store/sqlite_store_impl.h"

namespace escribano {
namespace {

constexpr std::string_view kSelect =
    "SELECT id, path, bytes, duration_s, width_px, height_px, codec, captured_at, state, sampling_key, "
    "description_key, segments_key, added_at, updated_at, warnings, "
    "(SELECT count(*) FROM frames WHERE recording = r.number), "
    "(SELECT count(*) FROM frames WHERE recording = r.number AND source_position IS NOT NULL), "
    "(SELECT count(*) FROM frames f JOIN observations o ON o.frame = f.number "
    "  WHERE f.recording = r.number AND o.status = 'described'), "
    "(SELECT count(*) FROM frames f JOIN observations o ON o.frame = f.number "
    "  WHERE f.recording = r.number AND o.status <> 'described'), "
    "(SELECT count(*) FROM segments WHERE recording = r.number) "
    "FROM recordings r";

Result<StoredRecording> read_recording(const Database& database, const Statement& row) {
  StoredRecording stored;
  stored.info.id = row.text(0);
  const std::vector<std::byte> path = row.blob(1);
  stored.info.path = std::string(reinterpret_cast<const char*>(path.data()), path.size());
  ESCRIBANO_TRY(stored.info.bytes, size_column(database, row, 2));
  ESCRIBANO_TRY(stored.info.duration_s, real_column(database, row, 3));
  ESCRIBANO_TRY(stored.info.width_px, int_column(database, row, 4));
  ESCRIBANO_TRY(stored.info.height_px, int_column(database, row, 5));
  stored.info.codec = row.text(6);
  stored.info.captured_at = row.text(7);
  ESCRIBANO_TRY(stored.state, enum_column(database, row, 8, recording_state_from_name));
  stored.keys = {row.text(9), row.text(10), row.text(11)};
  stored.added_at = row.text(12);
  stored.updated_at = row.text(13);
  ESCRIBANO_TRY(stored.warnings, list_column(database, row, 14));
  ESCRIBANO_TRY(stored.frames, size_column(database, row, 15));
  ESCRIBANO_TRY(stored.unchanged, size_column(database, row, 16));
  ESCRIBANO_TRY(stored.described, size_column(database, row, 17));
  ESCRIBANO_TRY(stored.failed, size_column(database, row, 18));
  ESCRIBANO_TRY(stored.segments, size_column(database, row, 19));
  return stored;
}

Result<std::vector<StoredRecording>> read_recordings(const Database& database, Statement rows) {
  std::vector<StoredRecording> found;
  while (true) {
    ESCRIBANO_TRY(const bool row, rows.step());
    if (!row) return found;
    ESCRIBANO_TRY(StoredRecording stored, read_recording(database, rows));
    found.push_back(std::move(stored));
  }
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

Result<std::int64_t> SqliteStore::number_of(std::string_view id) const {
  ESCRIBANO_TRY(Statement found, db().prepare("SELECT number FROM recordings WHERE id = ?1"));
  ESCRIBANO_CHECK(found.bind(id));
  ESCRIBANO_TRY(const bool row, found.step());
  if (!row) return fail(Errc::not_found, "{} knows no recording {}", db().name(), to_valid_utf8(id));
  return found.integer(0);
}

Status SqliteStore::set_state(std::int64_t recording, RecordingState state, std::string_view now) const {
  return db().run("UPDATE recordings SET state = ?2, updated_at = ?3 WHERE number = ?1", recording,
                  recording_state_name(state), now);
}

Status SqliteStore::add_recording(const RecordingInfo& info, std::string_view now) {
  ESCRIBANO_CHECK(check(info));
  const std::string& path = info.path.native();
  return db().run(
      "INSERT INTO recordings (id, path, bytes, duration_s, width_px, height_px, codec, captured_at, state, added_at, "
      "updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'known', ?9, ?9) "
      "ON CONFLICT (id) DO UPDATE SET path = excluded.path, captured_at = excluded.captured_at",
      info.id, Blob(std::as_bytes(std::span(path))), static_cast<std::int64_t>(info.bytes), info.duration_s,
      info.width_px, info.height_px, info.codec, info.captured_at, now);
}

Result<StoredRecording> SqliteStore::recording(std::string_view id_or_prefix) {
  const std::string prefix = lower_case(id_or_prefix);
  if (!is_id_prefix(prefix)) {
    return fail(Errc::not_found,
                "\"{}\" names no recording: an id is 32 hexadecimal digits, of which the first 4 or more "
                "will do",
                to_valid_utf8(id_or_prefix));
  }
  // What begins so is at least the prefix, and less than the prefix with a letter after all digits.
  ESCRIBANO_TRY(Statement rows, db().prepare(fmt::format("{} WHERE id >= ?1 AND id < ?1 || 'g' ORDER BY id", kSelect)));
  ESCRIBANO_CHECK(rows.bind(prefix));
  ESCRIBANO_TRY(std::vector<StoredRecording> found, read_recordings(db(), std::move(rows)));
  if (found.empty()) return fail(Errc::not_found, "{} knows no recording {}", db().name(), prefix);
  if (found.size() > 1) {
    constexpr std::size_t named = 5;
    std::string names;
    for (std::size_t i = 0; i < std::min(found.size(), named); ++i) {
      names += fmt::format("{}{}", i == 0 ? "" : ", ", found[i].info.id);
    }
    if (found.size() > named) names += fmt::format(" and {} more", found.size() - named);
    return fail(Errc::invalid_argument, "{} recordings begin with {}: {}; give more digits", found.size(), prefix,
                names);
  }
  return std::move(found.front());
}

Result<std::vector<StoredRecording>> SqliteStore::recordings() {
  ESCRIBANO_TRY(Statement rows, db().prepare(fmt::format("{} ORDER BY updated_at DESC, number DESC", kSelect)));
  return read_recordings(db(), std::move(rows));
}

Status SqliteStore::reset_recording(std::string_view id, std::string_view now) {
  ESCRIBANO_TRY(Transaction transaction, Transaction::write(db()));
  ESCRIBANO_TRY(const std::int64_t recording, number_of(id));
  ESCRIBANO_CHECK(unindex_recording(recording));
  ESCRIBANO_CHECK(db().run("DELETE FROM frames WHERE recording = ?1", recording));
  ESCRIBANO_CHECK(db().run("DELETE FROM segments WHERE recording = ?1", recording));
  ESCRIBANO_CHECK(db().run("DELETE FROM artefacts WHERE recording = ?1", recording));
  ESCRIBANO_CHECK(
      db().run("UPDATE recordings SET sampling_key = '', description_key = '', segments_key = '', "
               "warnings = '[]' WHERE number = ?1",
               recording));
  ESCRIBANO_CHECK(set_state(recording, RecordingState::known, now));
  return transaction.commit();
}

}  // namespace escribano
