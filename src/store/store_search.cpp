#include <algorithm>
#include <limits>

#include "store/checks.h"
#include "store/search_query.h"
#include "store/sqlite_store_impl.h"

namespace escribano {
namespace {

// Ranking costs some microseconds a match, and a word that is on every screen says little about any. Of more matches than
// this, those that were sampled last are ranked.
constexpr std::int64_t kRankedMatches = 5'000;

}  // namespace

Status SqliteStore::unindex_recording(std::int64_t recording) const {
  return db().run(
      "INSERT INTO words (words, rowid, description, apps, topics) "
      "SELECT 'delete', d.frame, d.description, d.apps, d.topics FROM frames f JOIN described_words d "
      "ON d.frame = f.number WHERE f.recording = ?1",
      recording);
}

Result<std::vector<SearchHit>> SqliteStore::best_hits(std::string_view query, std::int64_t recording,
                                                      std::size_t limit) const {
  // The matches of one recording lie within its first and last frame; for all recordings, 0 stands for any.
  const std::string_view matches =
      recording == 0 ? "SELECT rowid AS frame, bm25(words) AS score FROM words WHERE words MATCH ?1 "
                       "AND ?4 = 0 ORDER BY rowid DESC LIMIT ?2"
                     : "SELECT w.rowid AS frame, bm25(words) AS score FROM words w CROSS JOIN frames f "
                       "ON f.number = w.rowid WHERE words MATCH ?1 AND f.recording = ?4 "
                       "AND w.rowid >= (SELECT min(number) FROM frames WHERE recording = ?4) "
                       "AND w.rowid <= (SELECT max(number) FROM frames WHERE recording = ?4) "
                       "ORDER BY w.rowid DESC LIMIT ?2";
  ESCRIBANO_TRY(Statement rows,
                db().prepare(fmt::format(
                    "WITH matches AS ({}), best AS (SELECT m.frame, m.score, f.recording, f.position, f.timestamp_s "
                    "FROM matches m JOIN frames f ON f.number = m.frame "
                    "ORDER BY m.score, f.recording, f.timestamp_s LIMIT ?3) "
                    "SELECT r.id, r.path, b.position, b.timestamp_s, {} FROM best b JOIN recordings r "
                    "ON r.number = b.recording JOIN observations o ON o.frame = b.frame "
                    "ORDER BY b.score, b.recording, b.timestamp_s",
                    matches, kObservationColumns)));
  ESCRIBANO_CHECK(rows.bind(query, kRankedMatches,
                            std::min(limit, static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max())),
                            recording));
  std::vector<SearchHit> hits;
  while (true) {
    ESCRIBANO_TRY(const bool row, rows.step());
    if (!row) return hits;
    const std::vector<std::byte> path = rows.blob(1);
    ESCRIBANO_TRY(Observation observation, read_observation(db(), rows, 4));
    ESCRIBANO_TRY(observation.position, size_column(db(), rows, 2));
    ESCRIBANO_TRY(observation.timestamp_s, real_column(db(), rows, 3));
    hits.push_back(
        {rows.text(0), std::string(reinterpret_cast<const char*>(path.data()), path.size()), std::move(observation)});
  }
}

Result<std::vector<SearchHit>> SqliteStore::search(std::string_view words, const SearchOptions& options) {
  ESCRIBANO_TRY(const std::string query, search_query(db(), words));
  ESCRIBANO_TRY(const Transaction transaction, Transaction::read(db()));
  std::int64_t recording = 0;
  if (!options.recording_id.empty()) {
    ESCRIBANO_TRY(recording, number_of(options.recording_id));
  }
  return best_hits(query, recording, options.limit);
}

}  // namespace escribano
