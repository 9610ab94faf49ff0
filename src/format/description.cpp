#include "format/description.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "base/utf8.h"
#include "format/line_grammar.h"

namespace escribano {
namespace {

constexpr std::string_view kToDescription = "description: ";
constexpr std::string_view kToActivity = "description: x | activity: ";
constexpr std::string_view kToList = "description: x | activity: x | apps: [";

std::size_t character_length(char first) noexcept {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// What stands in for a character that the grammar refuses here.
std::string_view neighbour(std::string_view character) noexcept {
  switch (character.front()) {
    case '|': return "/";
    case '\n':
    case '\r':
    case '\t': return " ";
    default: return {};
  }
}

// As much of `value` as the grammar takes after `prefix`, up to where `end` may follow.
std::string fitted(std::string_view value, std::string_view prefix, std::string_view end) {
  LineGrammar grammar = LineGrammar::single();
  grammar.advance(prefix);
  std::string out;
  std::size_t whole = 0;
  const std::string text = to_valid_utf8(value);
  for (std::size_t at = 0; at < text.size();) {
    std::string_view character = std::string_view(text).substr(at, character_length(text[at]));
    at += character.size();
    // What ends the value is legal there too, but is not meant to.
    if (character.front() == end.back() || !grammar.advance(character)) {
      character = neighbour(character);
      if (character.empty() || !grammar.advance(character)) continue;
    }
    out += character;
    if (grammar.accepts(end)) whole = out.size();
  }
  out.resize(whole);
  return out;
}

bool parentheses_balance(std::string_view text) noexcept {
  std::size_t open = 0;
  for (const char c : text) {
    if (c == '(') ++open;
    if (c == ')' && open-- == 0) return false;
  }
  return open == 0;
}

// With parentheses for brackets; then a comma outside of them would read as the end of the item, and one without a space
// behind it is not canonical.
std::string harmless(std::string_view value) {
  std::string item(value);
  std::replace(item.begin(), item.end(), '[', '(');
  std::replace(item.begin(), item.end(), ']', ')');
  const bool keeps = parentheses_balance(item);
  std::string out;
  std::size_t open = 0;
  for (std::size_t i = 0; i < item.size(); ++i) {
    if (keeps && item[i] == '(') ++open;
    if (keeps && item[i] == ')') --open;
    if (item[i] != ',') {
      out += item[i];
    } else if (open == 0) {
      out += ';';
    } else {
      out += i + 1 < item.size() && item[i + 1] == ' ' ? "," : ", ";
    }
  }
  return out;
}

std::string list(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) {
    const std::string text = fitted(harmless(item), kToList, "]");
    if (text.empty()) continue;
    if (out.size() > 1) out += ", ";
    out += text;
  }
  return out + "]";
}

}  // namespace

std::string to_line(const Description& description) {
  return "description: " + fitted(description.description, kToDescription, " |") +
         " | activity: " + fitted(description.activity, kToActivity, " |") + " | apps: " + list(description.apps) +
         " | topics: " + list(description.topics);
}

}  // namespace escribano
