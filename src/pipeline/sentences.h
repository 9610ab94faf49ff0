#pragma once

// Private to this folder.

#include <string_view>
#include <vector>

namespace escribano {

// The sentences of `text`, each with its mark at the end and without the spaces around. A line break ends one too. The
// dots of "e.g.", "v1.2" and "index.html" end none, nor does one that a small letter follows.
std::vector<std::string_view> sentences(std::string_view text);

}  // namespace escribano
