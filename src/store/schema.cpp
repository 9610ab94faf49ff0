#include "store/schema.h"

#include <array>

namespace escribano {
namespace {

// What is described, segmented and written about recordings. Lists are JSON arrays (json_list.h). Paths are bytes: a file
// name need not be UTF-8. A frame without an observation is pending, or unchanged where it has a source.
constexpr std::string_view kVersion1 = R"sql(
CREATE TABLE recordings (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  path BLOB NOT NULL,
  bytes INTEGER NOT NULL,
  duration_s REAL NOT NULL,
  width_px INTEGER NOT NULL,
  height_px INTEGER NOT NULL,
  codec TEXT NOT NULL,
  captured_at TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('known', 'sampled', 'described', 'segmented', 'summarised')),
  sampling_key TEXT NOT NULL DEFAULT '',
  description_key TEXT NOT NULL DEFAULT '',
  segments_key TEXT NOT NULL DEFAULT '',
  added_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  warnings TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE TABLE frames (
  number INTEGER PRIMARY KEY,
  recording INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
  position INTEGER NOT NULL,
  timestamp_s REAL NOT NULL,
  reason TEXT NOT NULL CHECK (reason IN ('first', 'scene', 'interval', 'gap', 'last')),
  scene_score REAL NOT NULL,
  content_hash TEXT NOT NULL,
  perceptual_hash INTEGER NOT NULL,
  source_position INTEGER,
  change REAL NOT NULL,
  UNIQUE (recording, position)
) STRICT;
CREATE TABLE observations (
  frame INTEGER PRIMARY KEY REFERENCES frames ON DELETE CASCADE,
  status TEXT NOT NULL CHECK (status IN ('described', 'unparsed', 'failed')),
  description TEXT NOT NULL,
  activity TEXT NOT NULL,
  apps TEXT NOT NULL,
  topics TEXT NOT NULL,
  raw_response TEXT NOT NULL,
  error_code TEXT NOT NULL,
  error TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  model TEXT NOT NULL,
  generation_tokens INTEGER NOT NULL,
  model_ms REAL NOT NULL
) STRICT;
CREATE TABLE segments (
  recording INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
  position INTEGER NOT NULL,
  start_s REAL NOT NULL,
  end_s REAL NOT NULL,
  activity TEXT NOT NULL,
  apps TEXT NOT NULL,
  topics TEXT NOT NULL,
  description TEXT NOT NULL,
  PRIMARY KEY (recording, position)
) STRICT;
CREATE TABLE artefacts (
  recording INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
  format TEXT NOT NULL CHECK (format IN ('card', 'standup', 'narrative')),
  text TEXT NOT NULL,
  model TEXT NOT NULL,
  notes TEXT NOT NULL,
  key TEXT NOT NULL,
  PRIMARY KEY (recording, format)
) STRICT;
)sql";

// What frames looked like, and what the runs took.
constexpr std::string_view kVersion2 = R"sql(
CREATE TABLE thumbnails (
  frame INTEGER PRIMARY KEY REFERENCES frames ON DELETE CASCADE,
  jpeg BLOB NOT NULL
) STRICT;
CREATE TABLE runs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  recording INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
  started_at TEXT NOT NULL,
  program TEXT NOT NULL
) STRICT;
CREATE INDEX runs_of_recording ON runs (recording);
CREATE TABLE steps (
  number INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  step TEXT NOT NULL,
  outcome TEXT NOT NULL,
  detail TEXT NOT NULL,
  items INTEGER NOT NULL,
  seconds REAL NOT NULL,
  generation_tokens INTEGER NOT NULL,
  model_ms REAL NOT NULL
) STRICT;
CREATE INDEX steps_of_run ON steps (run);
)sql";

// Search. The index keeps no text of its own, it reads the view: what is taken out of it must be what was put in, so an
// observation is taken out before it changes (store_search.cpp). The tokenizer passes over brackets and quotes, so lists need
// only lose the letters that JSON's escapes would leave behind; FTS5 allows no json_each() here.
constexpr std::string_view kVersion3 = R"sql(
CREATE VIEW described_words AS
  SELECT frame, description,
         replace(replace(replace(replace(replace(replace(replace(apps, '\\', ' '), '\n', ' '), '\r', ' '),
           '\t', ' '), '\b', ' '), '\f', ' '), '{"hex":', ' ') AS apps,
         replace(replace(replace(replace(replace(replace(replace(topics, '\\', ' '), '\n', ' '), '\r', ' '),
           '\t', ' '), '\b', ' '), '\f', ' '), '{"hex":', ' ') AS topics
  FROM observations WHERE status = 'described';
CREATE VIRTUAL TABLE words USING fts5 (
  description, apps, topics,
  content = 'described_words', content_rowid = 'frame',
  tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
);
INSERT INTO words (words) VALUES ('rebuild');
)sql";

constexpr std::array<std::string_view, 3> kMigrations = {kVersion1, kVersion2, kVersion3};

}  // namespace

std::span<const std::string_view> migrations() { return kMigrations; }

Status check_marks(std::string_view name, bool empty, std::int64_t application_id, std::int64_t version) {
  if (empty) return {};
  if (application_id != kApplicationId) {
    return fail(Errc::unsupported,
                "{} is a database of another program and was left as it is; move it away, or choose another "
                "ESCRIBANO_HOME",
                name);
  }
  if (version > newest_version()) {
    return fail(Errc::unsupported,
                "{} was made by a newer Escribano (version {}, this one knows {}); update, or choose another "
                "ESCRIBANO_HOME",
                name, version, newest_version());
  }
  return {};
}

Status bring_up_to_date(const Database& database) {
  while (true) {
    ESCRIBANO_TRY(const std::int64_t seen, database.integer("PRAGMA user_version"));
    if (seen >= newest_version()) return check_marks(database.name(), false, kApplicationId, seen);
    ESCRIBANO_TRY(Transaction transaction, Transaction::write(database));
    // Another process may have been faster while this one waited for the lock.
    ESCRIBANO_TRY(const std::int64_t version, database.integer("PRAGMA user_version"));
    if (version != seen) continue;
    if (version < 0) return fail(Errc::corrupt, "{} is damaged (version {})", database.name(), version);
    if (version == 0) ESCRIBANO_CHECK(database.execute(fmt::format("PRAGMA application_id = {}", kApplicationId)));
    ESCRIBANO_CHECK(database.execute(std::string(kMigrations[static_cast<std::size_t>(version)])));
    ESCRIBANO_CHECK(database.execute(fmt::format("PRAGMA user_version = {}", version + 1)));
    ESCRIBANO_CHECK(transaction.commit());
  }
}

}  // namespace escribano
