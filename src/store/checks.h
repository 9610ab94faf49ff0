#pragma once

// What may be written into the store, and how what is read from it is made sure of. The messages of checks on reading
// name the file and what is wrong in it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "domain/recording.h"
#include "domain/store.h"
#include "store/sqlite_database.h"

namespace escribano {

// All fail with invalid_argument and say which value is wrong.
Status check(const RecordingInfo& info);
Status check(const Sampling& sampling);
Status check(const Observation& observation);
Status check(const Segment& segment);
Status check(const StepStats& stats);

// 4 to 32 hexadecimal digits in lower case.
bool is_id_prefix(std::string_view text) noexcept;

Error damaged(const Database& database, std::string_view what);
// Column values; corrupt where they are nothing that was ever written.
Result<std::vector<std::string>> list_column(const Database& database, const Statement& row, int column);
Result<int> int_column(const Database& database, const Statement& row, int column);           // from 0
Result<std::size_t> size_column(const Database& database, const Statement& row, int column);  // from 0
Result<double> real_column(const Database& database, const Statement& row, int column);       // finite

template <class Enum>
Result<Enum> enum_column(const Database& database, const Statement& row, int column,
                         std::optional<Enum> (*from_name)(std::string_view) noexcept) {
  const std::string name = row.text(column);
  const std::optional<Enum> value = from_name(name);
  if (!value) return fail(damaged(database, fmt::format("a value is \"{}\"", name.substr(0, 40))));
  return *value;
}

}  // namespace escribano
