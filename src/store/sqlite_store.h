#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/error.h"
#include "domain/store.h"

namespace escribano {

// The store in one SQLite file at `path`, which is made, with its folder, where it does not exist; older versions of it are
// brought up to date, keeping all data. Fails with unsupported (a database of a newer Escribano or of another program, a
// folder), corrupt (no database, or a damaged one), not_permitted, io_error or overloaded; what cannot be used is left as it
// is. Each message names the file and says what to do. Blocks. One Store is for one thread at a time; any number of them may
// be open on one file.
Result<std::unique_ptr<Store>> open_store(const std::filesystem::path& path);

std::string sqlite_version();  // "3.40.1"

}  // namespace escribano
