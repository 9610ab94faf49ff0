#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "store/sqlite_database.h"

namespace escribano {

// The FTS5 query for what someone typed: every word becomes a quoted phrase, all of which must be there; '*' at the end of
// a word makes it a beginning. Whatever the text, nothing of it is an operator. Words without letters and digits are left
// out. Fails with invalid_argument where no word is left, or too_large for more than 4096 bytes.
Result<std::string> search_query(const Database& database, std::string_view words);

}  // namespace escribano
