#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "domain/store.h"

namespace escribano {

// What tests set to make faults happen soon.
struct OpenOptions {
  std::chrono::milliseconds busy_timeout{10'000};  // how long another process is waited for
  std::int64_t max_pages = 0;                      // the file grows no further, as on a full disk; 0: no limit
};

class Database;

// The connection behind a store: checked, brought up to date, and set so that a commit is durable.
Result<std::unique_ptr<Database>> open_database(const std::filesystem::path& path, const OpenOptions& options);

// open_store (sqlite_store.h), with options.
Result<std::unique_ptr<Store>> open_store(const std::filesystem::path& path, const OpenOptions& options);

}  // namespace escribano
