#pragma once

// SQLite as values: a connection, a statement, a transaction. Every failure is an Error that names the file, says why and
// what can be done. Private to this folder and its tests.

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace escribano {

using Blob = std::span<const std::byte>;

// What the first bytes of a database file say, read without a lock and without touching anything.
struct DatabaseHeader {
  bool empty = false;   // the file has no bytes
  bool blank = false;   // ... or only zeros here: the power may have failed while it was made
  bool sqlite = false;  // it starts as an SQLite database does, and is not cut off within its first page
  std::uint32_t application_id = 0;
  std::uint32_t user_version = 0;
};

// A prepared statement. Values are bound by number from 1, columns read by number from 0. Must not outlive its Database.
class Statement {
 public:
  // Binds `values` to 1, 2, ..., all of them anew. Takes integers, doubles, text, Blob, and optionals of these.
  template <class... Values>
  Status bind(const Values&... values) {
    clear();
    int index = 0;
    int code = 0;
    ((code = code == 0 ? bind_value(++index, values) : code), ...);
    return bound(code);
  }
  // Whether there is a(nother) row.
  Result<bool> step();
  // Runs it to its end with these values; what it returns is passed over.
  template <class... Values>
  Status run(const Values&... values) {
    ESCRIBANO_CHECK(bind(values...));
    while (true) {
      ESCRIBANO_TRY(const bool row, step());
      if (!row) break;
    }
    clear();
    return {};
  }

  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;  // byte for byte what was bound; "" for NULL
  std::vector<std::byte> blob(int column) const;
  bool is_null(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(const class Database& database) : database_(&database) {}

  template <class Value>
  int bind_value(int index, const Value& value) {
    if constexpr (std::same_as<Value, bool> || std::integral<Value>) {
      return bind_integer(index, static_cast<std::int64_t>(value));
    } else if constexpr (std::floating_point<Value>) {
      return bind_real(index, value);
    } else if constexpr (std::convertible_to<const Value&, std::string_view>) {
      return bind_text(index, value);
    } else if constexpr (std::convertible_to<const Value&, Blob>) {
      return bind_blob(index, value);
    } else {
      return value ? bind_value(index, *value) : bind_null(index);
    }
  }
  int bind_integer(int index, std::int64_t value);
  int bind_real(int index, double value);
  int bind_text(int index, std::string_view value);
  int bind_blob(int index, Blob value);
  int bind_null(int index);
  Status bound(int code) const;
  void clear();

  const Database* database_ = nullptr;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

// One connection to one file. Not thread-safe. Its address must stay while there are statements of it.
class Database {
 public:
  // Opens or makes the file. Nothing is read or written yet, so that closing it now leaves everything as it was.
  static Result<std::unique_ptr<Database>> open(const std::filesystem::path& path,
                                                std::chrono::milliseconds busy_timeout);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  Result<DatabaseHeader> header() const;
  bool read_only() const;
  // While off (as after open), closing leaves the write-ahead log as it is instead of moving it into the database.
  void set_checkpoint_on_close(bool on);

  Result<Statement> prepare(std::string_view sql) const;
  Status execute(const std::string& sql) const;  // any number of statements
  // Prepares, binds and runs one statement.
  template <class... Values>
  Status run(std::string_view sql, const Values&... values) const {
    ESCRIBANO_TRY(Statement statement, prepare(sql));
    return statement.run(values...);
  }
  Result<std::int64_t> integer(std::string_view sql) const;  // the first column of the first row
  std::int64_t last_insert_row() const;
  bool in_transaction() const;

  const std::string& name() const { return name_; }  // the file, printable
  sqlite3* handle() const { return handle_; }
  // The failure behind an SQLite result code, as the connection saw it last.
  Error error(int code) const;

 private:
  int last_system_error() const;  // errno of what failed; 0 where none is known
  Database(const std::filesystem::path& path, std::chrono::milliseconds busy_timeout);

  std::string name_;
  std::chrono::milliseconds busy_timeout_;
  sqlite3* handle_ = nullptr;
};

// Everything or nothing: what is not committed is rolled back.
class Transaction {
 public:
  // Waits for other writers, so that what follows cannot fail for their sake.
  static Result<Transaction> write(const Database& database);
  // One state of the database for several statements.
  static Result<Transaction> read(const Database& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  Status commit();

 private:
  explicit Transaction(const Database& database) : database_(&database) {}
  const Database* database_;
};

}  // namespace escribano
