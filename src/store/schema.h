#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "store/sqlite_database.h"

namespace escribano {

// "Escr": what PRAGMA application_id says of a database of ours.
inline constexpr std::uint32_t kApplicationId = 0x45736372;

// Step i brings a database from version i to i + 1. A step that was released is never changed; a new one is added at the
// end (docs/store.md).
std::span<const std::string_view> migrations();

inline std::int64_t newest_version() { return static_cast<std::int64_t>(migrations().size()); }

// Whether a database with these marks may be used: an empty one, or one of ours that is not newer than we are. `name` is
// the file. Fails with unsupported.
Status check_marks(std::string_view name, bool empty, std::int64_t application_id, std::int64_t version);

// Brings a database to the newest version, one transaction a step. Several processes may try at the same time: each step
// is done once. What fails leaves the database at the version of the last whole step.
Status bring_up_to_date(const Database& database);

}  // namespace escribano
