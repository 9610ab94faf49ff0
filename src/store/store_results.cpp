#include <algorithm>

#include "store/checks.h"
#include "store/json_list.h"
#include "store/sqlite_store_impl.h"

namespace escribano {

Status SqliteStore::save_segments(std::string_view id, std::span<const Segment> segments, std::string_view key,
                                  std::string_view now) {
  for (const Segment& segment : segments) ESCRIBANO_CHECK(check(segment));
  ESCRIBANO_TRY(Transaction transaction, Transaction::write(db()));
  ESCRIBANO_TRY(const std::int64_t recording, number_of(id));
  ESCRIBANO_CHECK(db().run("DELETE FROM segments WHERE recording = ?1", recording));
  ESCRIBANO_CHECK(db().run("DELETE FROM artefacts WHERE recording = ?1", recording));
  ESCRIBANO_TRY(Statement insert, db().prepare("INSERT INTO segments (recording, position, start_s, end_s, activity, "
                                               "apps, topics, description) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"));
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = segments[i];
    ESCRIBANO_CHECK(insert.run(recording, i, segment.start_s, segment.end_s, segment.activity,
                               to_json_list(segment.apps), to_json_list(segment.topics), segment.description));
  }
  ESCRIBANO_CHECK(db().run("UPDATE recordings SET segments_key = ?2 WHERE number = ?1", recording, key));
  ESCRIBANO_CHECK(set_state(recording, RecordingState::segmented, now));
  return transaction.commit();
}

Result<std::vector<Segment>> SqliteStore::segments(std::string_view id) {
  ESCRIBANO_TRY(const Transaction transaction, Transaction::read(db()));
  ESCRIBANO_TRY(const std::int64_t recording, number_of(id));
  ESCRIBANO_TRY(Statement rows, db().prepare("SELECT start_s, end_s, activity, apps, topics, description FROM segments "
                                             "WHERE recording = ?1 ORDER BY position"));
  ESCRIBANO_CHECK(rows.bind(recording));
  std::vector<Segment> segments;
  while (true) {
    ESCRIBANO_TRY(const bool row, rows.step());
    if (!row) return segments;
    Segment segment;
    ESCRIBANO_TRY(segment.start_s, real_column(db(), rows, 0));
    ESCRIBANO_TRY(segment.end_s, real_column(db(), rows, 1));
    segment.activity = rows.text(2);
    ESCRIBANO_TRY(segment.apps, list_column(db(), rows, 3));
    ESCRIBANO_TRY(segment.topics, list_column(db(), rows, 4));
    segment.description = rows.text(5);
    segments.push_back(std::move(segment));
  }
}

Status SqliteStore::save_artefacts(std::string_view id, std::span<const Artefact> artefacts, std::string_view now) {
  ESCRIBANO_TRY(Transaction transaction, Transaction::write(db()));
  ESCRIBANO_TRY(const std::int64_t recording, number_of(id));
  ESCRIBANO_TRY(Statement put,
                db().prepare("INSERT OR REPLACE INTO artefacts (recording, format, text, model, notes, key) "
                             "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"));
  for (const Artefact& artefact : artefacts) {
    ESCRIBANO_CHECK(put.run(recording, artefact_format_name(artefact.format), artefact.text, artefact.model,
                            to_json_list(artefact.notes), artefact.key));
  }
  ESCRIBANO_CHECK(set_state(recording, RecordingState::summarised, now));
  return transaction.commit();
}

Result<std::vector<Artefact>> SqliteStore::artefacts(std::string_view id) {
  ESCRIBANO_TRY(const Transaction transaction, Transaction::read(db()));
  ESCRIBANO_TRY(const std::int64_t recording, number_of(id));
  ESCRIBANO_TRY(Statement rows,
                db().prepare("SELECT format, text, model, notes, key FROM artefacts WHERE recording = ?1"));
  ESCRIBANO_CHECK(rows.bind(recording));
  std::vector<Artefact> artefacts;
  while (true) {
    ESCRIBANO_TRY(const bool row, rows.step());
    if (!row) break;
    Artefact artefact;
    ESCRIBANO_TRY(artefact.format, enum_column(db(), rows, 0, artefact_format_from_name));
    artefact.text = rows.text(1);
    artefact.model = rows.text(2);
    ESCRIBANO_TRY(artefact.notes, list_column(db(), rows, 3));
    artefact.key = rows.text(4);
    artefacts.push_back(std::move(artefact));
  }
  std::sort(artefacts.begin(), artefacts.end(),
            [](const Artefact& a, const Artefact& b) { return a.format < b.format; });
  return artefacts;
}

}  // namespace escribano
