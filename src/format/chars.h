#pragma once

// Character classes that the parser, the grammar and to_line() share, so that they cannot disagree. ASCII only: a byte of
// a longer character counts as part of a word. Private to this folder.

#include <cstddef>
#include <string_view>

namespace escribano::answer {

constexpr bool is_ascii_alnum(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// A letter, a digit, or any byte of a character beyond ASCII.
constexpr bool is_word(char c) noexcept { return is_ascii_alnum(c) || static_cast<unsigned char>(c) >= 0x80; }

constexpr bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// Markdown emphasis, which models put around keys.
constexpr bool is_decoration(char c) noexcept { return c == '*' || c == '_' || c == '`'; }

// What may enclose a whole value, and is then no part of it.
constexpr bool is_enclosing(char c) noexcept { return c == '"' || c == '\'' || c == '`' || c == '*' || c == '['; }

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Whether `text` begins with `prefix`, which is in lower case, in any case.
constexpr bool starts_with_any_case(std::string_view text, std::string_view prefix) noexcept {
  if (text.size() < prefix.size()) return false;
  for (std::size_t i = 0; i < prefix.size(); ++i) {
    if (lower(text[i]) != prefix[i]) return false;
  }
  return true;
}

constexpr bool has_word(std::string_view text) noexcept {
  for (const char c : text) {
    if (is_word(c)) return true;
  }
  return false;
}

}  // namespace escribano::answer
