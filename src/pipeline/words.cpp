#include "pipeline/words.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace escribano::words {

std::string lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split_at_spaces(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t at = 0;
  while (at < text.size()) {
    while (at < text.size() && is_space(text[at])) ++at;
    const std::size_t begin = at;
    while (at < text.size() && !is_space(text[at])) ++at;
    if (at > begin) parts.push_back(text.substr(begin, at - begin));
  }
  return parts;
}

std::string single_spaced(std::string_view text) {
  std::string out;
  for (const std::string_view part : split_at_spaces(text)) {
    if (!out.empty()) out += ' ';
    out += part;
  }
  return out;
}

std::string_view bare(std::string_view text) noexcept {
  while (!text.empty() && !is_word(text.front())) text.remove_prefix(1);
  while (!text.empty() && !is_word(text.back()) && text.back() != '+' && text.back() != '#') text.remove_suffix(1);
  return text;
}

std::string compact(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_word(c) || ((c == '+' || c == '#') && !out.empty())) out += lower(c);
  }
  return out;
}

std::string plain_marks(std::string_view text) {
  constexpr std::pair<std::string_view, std::string_view> kMarks[] = {
      {"\xE2\x80\x9C", "\""}, {"\xE2\x80\x9D", "\""},  {"\xE2\x80\x98", "'"}, {"\xE2\x80\x99", "'"},
      {"\xE2\x80\x93", "-"},  {"\xE2\x80\x94", " - "}, {"\xE2\x80\x91", "-"}, {"\xC2\xA0", " "},
      {"\xE2\x80\xAF", " "},  {"\xE2\x80\xA6", "..."}};
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto mark = std::find_if(std::begin(kMarks), std::end(kMarks),
                                   [&](const auto& m) { return text.substr(i).starts_with(m.first); });
    if (mark == std::end(kMarks)) {
      out += text[i++];
    } else {
      out += mark->second;
      i += mark->first.size();
    }
  }
  return out;
}

bool equal_any_case(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::size_t find_word(std::string_view text, std::string_view needle, std::size_t from) noexcept {
  if (needle.empty()) return std::string_view::npos;
  for (std::size_t at = from; at + needle.size() <= text.size(); ++at) {
    if (at > 0 && is_word(text[at - 1]) && is_word(needle.front())) continue;
    const std::size_t end = at + needle.size();
    if (end < text.size() && is_word(text[end]) && is_word(needle.back())) continue;
    if (equal_any_case(text.substr(at, needle.size()), needle)) return at;
  }
  return std::string_view::npos;
}

}  // namespace escribano::words
