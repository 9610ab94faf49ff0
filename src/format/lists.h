#pragma once

// The values of apps and topics. Private to this folder.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace escribano::form {

struct ListValue {
  std::optional<std::vector<std::string>> items;  // nothing: the answer was cut off inside the list
  std::size_t end = 0;                            // where to look for the next key
  bool closed = false;                            // by its bracket: the next key needs no separator
};

// The list whose value begins at `from`, behind the key's colon. It ends at its closing bracket; without brackets at the
// end of its line, or of a run of bullet lines under the key; in any case before the next key behind a separator, and
// with `text`. `to_the_end` says that `text` reaches to the end of the answer: a list that is still open there was cut
// off.
//
// Commas separate items, except inside quotation marks around a whole item and inside brackets and parentheses (where
// these balance). Items lose what encloses them; items without a letter or digit are left out. Without brackets, `none`
// and `n/a` alone mean an empty list. Linear in the length read.
ListValue read_list(std::string_view text, std::size_t from, bool to_the_end);

}  // namespace escribano::form
