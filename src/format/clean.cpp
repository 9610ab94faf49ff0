#include "format/clean.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "base/utf8.h"
#include "format/chars.h"
#include "format/thought.h"

namespace escribano::form {
namespace {

// A C1 control is 0xC2 and a byte below 0xA0.
bool is_c1_control(std::string_view text, std::size_t at) noexcept {
  return text[at] == '\xC2' && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xA0;
}

std::string without_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\r') {
      if (i + 1 == text.size() || text[i + 1] != '\n') out += '\n';
    } else if (c == '\t') {
      out += ' ';
    } else if (is_c1_control(text, i)) {
      ++i;
    } else if (c == '\n' || !is_control(c)) {
      out += c;
    }
  }
  return out;
}

// ``` or ~~~, with or without the name of a language, and nothing else.
bool is_fence(std::string_view line) noexcept {
  line = trimmed(line);
  if (!line.starts_with("```") && !line.starts_with("~~~")) return false;
  const std::string_view language = line.substr(std::min(line.find_first_not_of(line.front()), line.size()));
  return std::all_of(language.begin(), language.end(),
                     [](char c) { return is_ascii_alnum(c) || c == '-' || c == '+' || c == '_'; });
}

std::string without_fences(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t line_break = text.find('\n');
    const std::string_view line = text.substr(0, line_break);
    if (!is_fence(line)) out += line;
    if (line_break == std::string_view::npos) break;
    out += '\n';
    text.remove_prefix(line_break + 1);
  }
  return out;
}

struct Pair {
  std::string_view open, close;
};
constexpr std::array<Pair, 7> kPairs = {{{"\"", "\""},
                                         {"'", "'"},
                                         {"`", "`"},
                                         {"*", "*"},
                                         {"[", "]"},
                                         {"\xE2\x80\x9C", "\xE2\x80\x9D"},    // double quotation marks
                                         {"\xE2\x80\x98", "\xE2\x80\x99"}}};  // single ones

// Between two letters it is an apostrophe, not the end of a quotation.
bool only_apostrophes(std::string_view text) noexcept {
  for (std::size_t at = text.find('\''); at != std::string_view::npos; at = text.find('\'', at + 1)) {
    if (at == 0 || at + 1 == text.size() || !is_word(text[at - 1]) || !is_word(text[at + 1])) return false;
  }
  return true;
}

std::string_view without_pair(std::string_view text, const Pair& pair) noexcept {
  const std::size_t both = pair.open.size() + pair.close.size();
  if (text.size() < both || !text.starts_with(pair.open) || !text.ends_with(pair.close)) return text;
  std::string_view inner = text.substr(pair.open.size(), text.size() - both);
  if (pair.open == "*" || pair.open == "`") {  // emphasis comes in runs of equal length
    while (inner.size() >= both && inner.starts_with(pair.open) && inner.ends_with(pair.close)) {
      inner = inner.substr(1, inner.size() - 2);
    }
  }
  // A mark inside means that the outer two may belong to different quotations.
  if (pair.open == "'") return only_apostrophes(inner) ? inner : text;
  const bool inside = inner.find(pair.open) != std::string_view::npos ||
                      (pair.close != kPairs.back().close && inner.find(pair.close) != std::string_view::npos);
  return inside ? text : inner;
}

}  // namespace

std::string_view trimmed(std::string_view text) noexcept {
  const std::size_t begin = text.find_first_not_of(" \n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \n") - begin + 1);
}

std::string on_one_line(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : trimmed(text)) {
    const bool space = c == ' ' || c == '\n';
    if (space && out.back() == ' ') continue;
    out += space ? ' ' : c;
  }
  return out;
}

std::string_view unwrapped(std::string_view text) noexcept {
  text = trimmed(text);
  constexpr int kLayers = 3;  // ["**A**"] has that many; more is no longer a way of writing
  for (int layer = 0; layer < kLayers; ++layer) {
    const std::size_t before = text.size();
    for (const Pair& pair : kPairs) text = trimmed(without_pair(text, pair));
    if (text.size() == before) break;
  }
  return text;
}

std::string clean_answer(std::string_view answer) {
  return without_fences(without_thought(without_controls(to_valid_utf8(answer))));
}

}  // namespace escribano::form
