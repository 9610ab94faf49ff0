#pragma once

// Texts of models as parts of Markdown. Private to this folder.

#include <string>
#include <string_view>

namespace escribano {

// `text` on one line, as valid UTF-8, so that it means itself inside a paragraph or list item: no emphasis, code,
// heading, table, HTML, entity. What viewers would make a link or a mention of stands in a code span.
std::string markdown_escaped(std::string_view text);
// The first `bytes` of `text` at most, cut between words and marked with an ellipsis where something is missing.
std::string shortened(std::string_view text, std::size_t bytes);

}  // namespace escribano
