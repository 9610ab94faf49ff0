#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace escribano {

// A list of texts as a JSON array, ["Visual Studio Code","Terminal"]. JSON holds only UTF-8, so a text that is not
// becomes {"hex":"ff00"}, its bytes. Every list is read back as it was.
std::string to_json_list(const std::vector<std::string>& texts);

// Fails with corrupt for anything else; the message has no name of a file.
Result<std::vector<std::string>> from_json_list(std::string_view text);

}  // namespace escribano
