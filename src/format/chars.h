#pragma once

// Character classes that the parser, the grammar and to_line() share, so that they cannot disagree. Private to this folder.

#include <cstddef>
#include <string_view>

namespace escribano::form {

constexpr bool is_ascii_alnum(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// A letter, a digit, or a byte of a character beyond ASCII.
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

// Whether `text` begins with one of U+2000..U+203F: dashes, quotation marks, the ellipsis, spaces. Beyond ASCII these are
// what models write around words; everything else there counts as a letter.
constexpr bool begins_with_punctuation_mark(std::string_view text) noexcept {
  return text.size() >= 3 && text[0] == '\xE2' && text[1] == '\x80';
}

// Whether well-formed `text` has a letter or a digit.
constexpr bool has_word(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (begins_with_punctuation_mark(text.substr(i))) {
      i += 2;
    } else if (is_word(text[i])) {
      return true;
    }
  }
  return false;
}

// Well-formed `text` from its first letter or digit to its last. A parenthesis at the end stays if it was opened inside.
constexpr std::string_view without_punctuation_around(std::string_view text) noexcept {
  while (!text.empty()) {
    const bool mark = begins_with_punctuation_mark(text);
    if (!mark && is_word(text.front())) break;
    text.remove_prefix(mark ? 3 : 1);
  }
  const bool has_parenthesis = text.find('(') != std::string_view::npos;
  while (!text.empty()) {
    const bool mark = text.size() >= 3 && begins_with_punctuation_mark(text.substr(text.size() - 3));
    if (!mark && (is_word(text.back()) || (text.back() == ')' && has_parenthesis))) break;
    text.remove_suffix(mark ? 3 : 1);
  }
  return text;
}

}  // namespace escribano::form
