#pragma once

#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "store/sqlite_store.h"
#include "store/store_samples.h"
#include "support/temp_folder.h"

namespace escribano {

// A connection beside the store's, as the sqlite3 command has it.
class RawDatabase {
 public:
  explicit RawDatabase(const std::filesystem::path& path) {
    if (sqlite3_open(path.c_str(), &handle_) != SQLITE_OK) throw std::runtime_error("cannot open " + path.string());
  }
  RawDatabase(const RawDatabase&) = delete;
  RawDatabase& operator=(const RawDatabase&) = delete;
  ~RawDatabase() { sqlite3_close(handle_); }

  // Runs statements; the first column of all rows, one a line.
  std::string run(const std::string& sql) {
    std::string rows;
    char* message = nullptr;
    const auto add = [](void* context, int columns, char** values, char**) {
      auto& text = *static_cast<std::string*>(context);
      if (!text.empty()) text += '\n';
      if (columns > 0 && values[0] != nullptr) text += values[0];
      return 0;
    };
    if (sqlite3_exec(handle_, sql.c_str(), add, &rows, &message) != SQLITE_OK) {
      const std::string reason = message == nullptr ? "?" : message;
      sqlite3_free(message);
      throw std::runtime_error(reason + " in: " + sql);
    }
    return rows;
  }

 private:
  sqlite3* handle_ = nullptr;
};

class StoreTest : public testing::Test {
 protected:
  std::filesystem::path path() const { return folder_.path() / "home" / "escribano.db"; }
  Store& store() {
    if (store_ == nullptr) store_ = value_of(open_store(path()));
    return *store_;
  }
  void close() { store_.reset(); }
  Store& reopened() {
    close();
    return store();
  }
  // Known, with a sample of these frames.
  void add_sampled(const std::string& id, std::vector<SampledFrame> frames) {
    succeed(store().add_recording(recording_info(id), kMorning));
    succeed(store().save_sampling(id, {std::move(frames), {}}, "every 10 s", kMorning));
  }
  // What is wrong with the file and with the search index, as SQLite sees it; "ok" where nothing is.
  std::string integrity() {
    RawDatabase raw(path());
    raw.run("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)");
    const std::string foreign = raw.run("PRAGMA foreign_key_check");
    return foreign.empty() ? raw.run("PRAGMA integrity_check") : "foreign keys: " + foreign;
  }

  const std::string id_ = id_of("a1b2");

 private:
  TempFolder folder_;
  std::unique_ptr<Store> store_;
};

}  // namespace escribano
