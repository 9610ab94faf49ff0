#pragma once

// What is done to an answer before anything is looked for in it. Private to this folder.

#include <string>
#include <string_view>

namespace escribano::form {

// `answer` as the parser reads it: well-formed UTF-8 (what is not becomes U+FFFD), '\n' as the only line break, tabs as
// spaces, no other control characters, no thought (without_thought()), no lines of code fences. Linear in the length of
// `answer`.
std::string clean_answer(std::string_view answer);

std::string_view trimmed(std::string_view text) noexcept;  // without spaces and line breaks at either end

// `text` on one line: every run of spaces and line breaks is one space, none at either end.
std::string on_one_line(std::string_view text);

// `text` without what encloses all of it: quotation marks, emphasis, brackets.
std::string_view unwrapped(std::string_view text) noexcept;

}  // namespace escribano::form
