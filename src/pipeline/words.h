#pragma once

// What counts as a word in texts of models; ASCII is folded, everything beyond it counts as a letter. Private to this
// folder.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace escribano::words {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
constexpr bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }
constexpr bool is_letter(char c) noexcept {
  return is_lower(c) || is_upper(c) || static_cast<unsigned char>(c) >= 0x80;
}
constexpr bool is_word(char c) noexcept { return is_letter(c) || is_digit(c); }
constexpr bool is_space(char c) noexcept { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7F; }
constexpr char lower(char c) noexcept { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lowered(std::string_view text);
std::string_view trimmed(std::string_view text) noexcept;  // of spaces and control characters
// Runs of spaces, line breaks and control characters become one space, those at the ends nothing.
std::string single_spaced(std::string_view text);
// The pieces between spaces.
std::vector<std::string_view> split_at_spaces(std::string_view text);
// `text` from its first letter or digit to its last; "C++" and "C#" keep what makes them.
std::string_view bare(std::string_view text) noexcept;
// Letters and digits in lower case, '+' and '#' behind them; nothing else.
std::string compact(std::string_view text);
// `text` with curly quotation marks, long dashes and special spaces as their plain neighbours, so that each has one
// spelling.
std::string plain_marks(std::string_view text);
bool equal_any_case(std::string_view a, std::string_view b) noexcept;
// Where `needle`, in any case, stands in `text` from `from` on with no letter or digit directly before or after it;
// npos where nowhere or where `needle` is empty.
std::size_t find_word(std::string_view text, std::string_view needle, std::size_t from = 0) noexcept;

}  // namespace escribano::words
