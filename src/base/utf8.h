#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace escribano {

// Whether `text` is well-formed UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF).
bool is_valid_utf8(std::string_view text) noexcept;

// `text` with every maximal ill-formed part replaced by U+FFFD, as the Unicode standard recommends (section 3.9).
std::string to_valid_utf8(std::string_view text);

// Length of the longest prefix of `text` that does not end inside a character. What follows it are at most 3 bytes that
// may become a character once more bytes arrive; ill-formed bytes count as complete.
std::size_t complete_utf8_prefix(std::string_view text) noexcept;

}  // namespace escribano
