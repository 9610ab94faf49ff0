#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sqlite3.h>

#include "base/file.h"
#include "store/open_options.h"
#include "store/schema.h"
#include "store/sqlite_database.h"
#include "store/sqlite_store.h"
#include "store/sqlite_store_impl.h"

namespace escribano {
namespace {

constexpr int kRetryMs = 10;

Error cannot_make(const std::filesystem::path& path, const std::error_code& error) {
  const bool refused = error == std::errc::permission_denied || error == std::errc::operation_not_permitted ||
                       error == std::errc::read_only_file_system;
  return {refused ? Errc::not_permitted : Errc::io_error,
          fmt::format("{} cannot be made: {}; choose another ESCRIBANO_HOME", printable(path), error.message())};
}

// The file, empty and readable by its owner alone: it holds what was on a screen. SQLite gives the files beside it the
// same permissions.
Status make_file(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::path folder = path.parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) return fail(cannot_make(folder, error));
  const FileDescriptor made(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!made && errno != EEXIST) return fail(cannot_make(path, std::error_code(errno, std::generic_category())));
  return {};
}

// Before anything is written: is it ours, and one we know?
Status check_before_use(const Database& database) {
  ESCRIBANO_TRY(const DatabaseHeader header, database.header());
  if (header.sqlite) {
    ESCRIBANO_CHECK(check_marks(database.name(), false, header.application_id, header.user_version));
  } else if (!header.blank) {
    // SQLite takes some files of a few bytes for empty ones, and would overwrite them.
    return fail(
        Errc::corrupt,
        "{} is no database, or a damaged one; put a copy of it back, or move it away to start with an empty one",
        database.name());
  }
  // Again as SQLite sees it: what is still in the log counts, and what is no database fails here.
  ESCRIBANO_TRY(const Transaction transaction, Transaction::read(database));
  ESCRIBANO_TRY(const std::int64_t tables, database.integer("SELECT count(*) FROM sqlite_schema"));
  ESCRIBANO_TRY(const std::int64_t application_id, database.integer("PRAGMA application_id"));
  ESCRIBANO_TRY(const std::int64_t version, database.integer("PRAGMA user_version"));
  return check_marks(database.name(), tables == 0 && application_id == 0 && version == 0, application_id, version);
}

// SQLite does not wait for others when the journal is switched, so this does.
Status switch_to_log(const Database& database, std::chrono::milliseconds patience) {
  for (std::chrono::milliseconds waited{0};; waited += std::chrono::milliseconds(kRetryMs)) {
    Status switched = database.run("PRAGMA journal_mode = WAL");
    if (switched || switched.error().code != Errc::overloaded || waited >= patience) return switched;
    sqlite3_sleep(kRetryMs);
  }
}

Status configure(const Database& database) {
  // FULL: a commit is on the disk when it returns, also when the power fails. The two about fullfsync are for macOS, where
  // fsync alone does not reach the disk.
  ESCRIBANO_CHECK(
      database.execute("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON"));
  return database.execute("PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON");
}

}  // namespace

std::string sqlite_version() { return sqlite3_libversion(); }

Result<std::unique_ptr<Store>> open_store(const std::filesystem::path& path) { return open_store(path, OpenOptions()); }

Result<std::unique_ptr<Store>> open_store(const std::filesystem::path& path, const OpenOptions& options) {
  ESCRIBANO_TRY(std::unique_ptr<Database> database, open_database(path, options));
  return std::make_unique<SqliteStore>(std::move(database));
}

Result<std::unique_ptr<Database>> open_database(const std::filesystem::path& path, const OpenOptions& options) {
  if (sqlite3_compileoption_used("ENABLE_FTS5") == 0) {
    return fail(Errc::unsupported, "{} cannot be used: SQLite {} was built without FTS5; install one that has it",
                printable(path), sqlite_version());
  }
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return fail(Errc::unsupported, "{} is a folder, not a database; move it away, or choose another ESCRIBANO_HOME",
                printable(path));
  }
  ESCRIBANO_CHECK(make_file(path));
  ESCRIBANO_TRY(std::unique_ptr<Database> database, Database::open(path, options.busy_timeout));
  ESCRIBANO_CHECK(check_before_use(*database));
  if (database->read_only()) {
    return fail(Errc::not_permitted, "{} may not be written; change its permissions, or choose another ESCRIBANO_HOME",
                printable(path));
  }
  database->set_checkpoint_on_close(true);
  ESCRIBANO_CHECK(configure(*database));
  if (options.max_pages > 0) {
    ESCRIBANO_CHECK(database->run(fmt::format("PRAGMA max_page_count = {}", options.max_pages)));
  }
  // A new database is made before the log is switched on, so that the file itself says whose it is from the first commit on.
  ESCRIBANO_CHECK(bring_up_to_date(*database));
  ESCRIBANO_CHECK(switch_to_log(*database, options.busy_timeout));
  return database;
}

}  // namespace escribano
