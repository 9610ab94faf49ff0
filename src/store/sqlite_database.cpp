#include "store/sqlite_database.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <sqlite3.h>

#include "base/file.h"

namespace escribano {
namespace {

// No text or picture of ours comes near it; what a damaged file claims to hold is refused before memory is taken.
constexpr int kMaxValueBytes = 64 << 20;
constexpr int kSmallestPageBytes = 512;  // of any database

std::uint32_t big_endian(const std::array<unsigned char, 100>& bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 | std::uint32_t{bytes[at + 2]} << 8 |
         std::uint32_t{bytes[at + 3]};
}

bool is_disk_full(int system_error) {
  return system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG;
}

bool is_refusal(int system_error) { return system_error == EACCES || system_error == EPERM || system_error == EROFS; }

Error disk_full(const std::string& name) {
  return {Errc::io_error, fmt::format("{} cannot be written: the disk is full; free some space and run it again, "
                                      "nothing that was stored is lost",
                                      name)};
}

Error refused(const std::string& name, std::string_view reason) {
  return {
      Errc::not_permitted,
      fmt::format("{} cannot be written ({}); change its permissions, or choose another ESCRIBANO_HOME", name, reason)};
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Result<bool> Statement::step() {
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return fail(database_->error(code));
}

int Statement::bind_integer(int index, std::int64_t value) { return sqlite3_bind_int64(handle_.get(), index, value); }

int Statement::bind_real(int index, double value) { return sqlite3_bind_double(handle_.get(), index, value); }

int Statement::bind_text(int index, std::string_view value) {
  // A null pointer would bind NULL.
  return sqlite3_bind_text64(handle_.get(), index, value.data() == nullptr ? "" : value.data(), value.size(),
                             SQLITE_TRANSIENT, SQLITE_UTF8);
}

int Statement::bind_blob(int index, Blob value) {
  if (value.empty()) return sqlite3_bind_zeroblob(handle_.get(), index, 0);
  return sqlite3_bind_blob64(handle_.get(), index, value.data(), value.size(), SQLITE_TRANSIENT);
}

int Statement::bind_null(int index) { return sqlite3_bind_null(handle_.get(), index); }

Status Statement::bound(int code) const {
  if (code != SQLITE_OK) return fail(database_->error(code));
  return {};
}

void Statement::clear() {
  sqlite3_reset(handle_.get());
  sqlite3_clear_bindings(handle_.get());
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(handle_.get(), column); }

double Statement::real(int column) const { return sqlite3_column_double(handle_.get(), column); }

std::string Statement::text(int column) const {
  const unsigned char* bytes = sqlite3_column_text(handle_.get(), column);
  if (bytes == nullptr) return {};
  return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

std::vector<std::byte> Statement::blob(int column) const {
  const auto* bytes = static_cast<const std::byte*>(sqlite3_column_blob(handle_.get(), column));
  if (bytes == nullptr) return {};
  return {bytes, bytes + sqlite3_column_bytes(handle_.get(), column)};
}

bool Statement::is_null(int column) const { return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL; }

Database::Database(const std::filesystem::path& path, std::chrono::milliseconds busy_timeout)
    : name_(printable(path)), busy_timeout_(busy_timeout) {}

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& path,
                                                 std::chrono::milliseconds busy_timeout) {
  std::unique_ptr<Database> database(new Database(path, busy_timeout));
  const int code =
      sqlite3_open_v2(path.c_str(), &database->handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  if (database->handle_ == nullptr) return fail(Errc::out_of_memory, "no memory to open {}", database->name_);
  if (code != SQLITE_OK) return fail(database->error(code));
  sqlite3* handle = database->handle_;
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, static_cast<int>(busy_timeout.count()));
  sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, kMaxValueBytes);
  // The file may come from anywhere: nothing in its schema may do more than a schema of ours.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  database->set_checkpoint_on_close(false);
  return database;
}

Database::~Database() { sqlite3_close_v2(handle_); }

Result<DatabaseHeader> Database::header() const {
  // Through SQLite's own handle: closing another one would take away the locks of every connection of this process.
  sqlite3_file* file = nullptr;
  sqlite3_int64 bytes = 0;
  int code = sqlite3_file_control(handle_, "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file));
  if (code == SQLITE_OK && (file == nullptr || file->pMethods == nullptr)) code = SQLITE_CANTOPEN;
  if (code == SQLITE_OK) code = file->pMethods->xFileSize(file, &bytes);
  std::array<unsigned char, 100> start = {};
  if (code == SQLITE_OK) {
    code = file->pMethods->xRead(file, start.data(), static_cast<int>(start.size()), 0);
    if (code == SQLITE_IOERR_SHORT_READ) code = SQLITE_OK;  // what is missing was filled with zeros
  }
  if (code != SQLITE_OK) return fail(error(code));
  constexpr std::string_view magic("SQLite format 3\0", 16);
  return DatabaseHeader{
      .empty = bytes == 0,
      .blank = std::all_of(start.begin(), start.end(), [](unsigned char byte) { return byte == 0; }),
      .sqlite = bytes >= kSmallestPageBytes && std::memcmp(start.data(), magic.data(), magic.size()) == 0,
      .application_id = big_endian(start, 68),
      .user_version = big_endian(start, 60)};
}

bool Database::read_only() const { return sqlite3_db_readonly(handle_, "main") != 0; }

void Database::set_checkpoint_on_close(bool on) {
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on ? 0 : 1, nullptr);
}

Result<Statement> Database::prepare(std::string_view sql) const {
  Statement statement(*this);
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v2(handle_, sql.data(), static_cast<int>(sql.size()), &handle, nullptr);
  if (code != SQLITE_OK) return fail(error(code));
  statement.handle_.reset(handle);
  return statement;
}

Status Database::execute(const std::string& sql) const {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail(error(code));
  return {};
}

Result<std::int64_t> Database::integer(std::string_view sql) const {
  ESCRIBANO_TRY(Statement statement, prepare(sql));
  ESCRIBANO_TRY(const bool row, statement.step());
  return row ? statement.integer(0) : 0;
}

std::int64_t Database::last_insert_row() const { return sqlite3_last_insert_rowid(handle_); }

bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

int Database::last_system_error() const {
  // What fails in a commit is only remembered by the file it happened to: the database, or its log.
  if (const int system_error = sqlite3_system_errno(handle_); system_error != 0) return system_error;
  for (const int which : {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER}) {
    sqlite3_file* file = nullptr;
    int system_error = 0;
    if (sqlite3_file_control(handle_, "main", which, static_cast<void*>(&file)) != SQLITE_OK) continue;
    if (file == nullptr || file->pMethods == nullptr) continue;
    if (file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &system_error) == SQLITE_OK && system_error != 0) {
      return system_error;
    }
  }
  return 0;
}

Error Database::error(int code) const {
  const int system_error = last_system_error();
  const std::string reason = sqlite3_errmsg(handle_);
  const std::string system_reason = std::error_code(system_error, std::generic_category()).message();
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Errc::overloaded, fmt::format("another process has held {} for more than {} s; run it again when that "
                                            "one is done",
                                            name_, static_cast<double>(busy_timeout_.count()) / 1000)};
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_CONSTRAINT:  // every value is checked before it is written, so what it clashes with is wrong
    case SQLITE_MISMATCH:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR:  // our SQL fits our tables, so the tables are not ours
      return {Errc::corrupt, fmt::format("{} is damaged ({}); put a copy of it back, or move it away to start with an "
                                         "empty one",
                                         name_, reason)};
    case SQLITE_FULL: return disk_full(name_);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return refused(name_, reason);
    case SQLITE_NOMEM: return {Errc::out_of_memory, fmt::format("no memory to work on {}", name_)};
    case SQLITE_TOOBIG:
      return {Errc::too_large,
              fmt::format("a value of more than {} MiB does not go into {}", kMaxValueBytes >> 20, name_)};
    default: break;
  }
  if (is_disk_full(system_error)) return disk_full(name_);
  if (is_refusal(system_error)) return refused(name_, system_reason);
  return {Errc::io_error, fmt::format("{} cannot be used: {}{}{}; check the disk and the path", name_, reason,
                                      system_error == 0 ? "" : ", ", system_error == 0 ? "" : system_reason)};
}

Result<Transaction> Transaction::write(const Database& database) {
  ESCRIBANO_CHECK(database.execute("BEGIN IMMEDIATE"));
  return Transaction(database);
}

Result<Transaction> Transaction::read(const Database& database) {
  ESCRIBANO_CHECK(database.execute("BEGIN"));
  return Transaction(database);
}

Transaction::~Transaction() {
  // After some failures SQLite has rolled back itself.
  if (database_ != nullptr && database_->in_transaction()) (void)database_->execute("ROLLBACK");
}

Status Transaction::commit() {
  ESCRIBANO_CHECK(database_->execute("COMMIT"));
  database_ = nullptr;
  return {};
}

}  // namespace escribano
