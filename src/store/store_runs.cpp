#include "store/checks.h"
#include "store/sqlite_store_impl.h"

namespace escribano {
namespace {

Result<std::vector<StepStats>> steps_of(const Database& database, Statement& rows, std::int64_t run) {
  ESCRIBANO_CHECK(rows.bind(run));
  std::vector<StepStats> steps;
  while (true) {
    ESCRIBANO_TRY(const bool row, rows.step());
    if (!row) return steps;
    StepStats stats;
    stats.step = rows.text(0);
    stats.outcome = rows.text(1);
    stats.detail = rows.text(2);
    ESCRIBANO_TRY(stats.items, size_column(database, rows, 3));
    ESCRIBANO_TRY(stats.seconds, real_column(database, rows, 4));
    ESCRIBANO_TRY(stats.generation_tokens, int_column(database, rows, 5));
    ESCRIBANO_TRY(stats.model_ms, real_column(database, rows, 6));
    steps.push_back(std::move(stats));
  }
}

}  // namespace

Result<std::int64_t> SqliteStore::begin_run(std::string_view id, std::string_view program, std::string_view now) {
  ESCRIBANO_TRY(Transaction transaction, Transaction::write(db()));
  ESCRIBANO_TRY(const std::int64_t recording, number_of(id));
  ESCRIBANO_CHECK(
      db().run("INSERT INTO runs (recording, started_at, program) VALUES (?1, ?2, ?3)", recording, now, program));
  const std::int64_t run = db().last_insert_row();
  ESCRIBANO_CHECK(transaction.commit());
  return run;
}

Status SqliteStore::add_step(std::int64_t run, const StepStats& stats) {
  ESCRIBANO_CHECK(check(stats));
  ESCRIBANO_TRY(Transaction transaction, Transaction::write(db()));
  {
    ESCRIBANO_TRY(Statement found, db().prepare("SELECT 1 FROM runs WHERE number = ?1"));
    ESCRIBANO_CHECK(found.bind(run));
    ESCRIBANO_TRY(const bool row, found.step());
    if (!row) return fail(Errc::not_found, "{} knows no run {}", db().name(), run);
  }
  ESCRIBANO_CHECK(
      db().run("INSERT INTO steps (run, step, outcome, detail, items, seconds, generation_tokens, model_ms) "
               "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
               run, stats.step, stats.outcome, stats.detail, stats.items, stats.seconds, stats.generation_tokens,
               stats.model_ms));
  return transaction.commit();
}

Result<std::vector<StoredRun>> SqliteStore::runs(std::string_view id) {
  ESCRIBANO_TRY(const Transaction transaction, Transaction::read(db()));
  ESCRIBANO_TRY(const std::int64_t recording, number_of(id));
  ESCRIBANO_TRY(Statement rows, db().prepare("SELECT number, started_at, program FROM runs WHERE recording = ?1 "
                                             "ORDER BY number DESC"));
  ESCRIBANO_TRY(Statement steps, db().prepare("SELECT step, outcome, detail, items, seconds, generation_tokens, "
                                              "model_ms FROM steps WHERE run = ?1 ORDER BY number"));
  ESCRIBANO_CHECK(rows.bind(recording));
  std::vector<StoredRun> runs;
  while (true) {
    ESCRIBANO_TRY(const bool row, rows.step());
    if (!row) return runs;
    ESCRIBANO_TRY(std::vector<StepStats> of_run, steps_of(db(), steps, rows.integer(0)));
    runs.push_back({rows.integer(0), std::string(id), rows.text(1), rows.text(2), std::move(of_run)});
  }
}

}  // namespace escribano
