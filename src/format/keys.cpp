#include "format/keys.h"

#include <array>

#include "format/chars.h"

namespace escribano::form {
namespace {

struct Name {
  std::string_view text;
  Field field;
};
// None is the beginning of another.
constexpr std::array<Name, 4> kNames = {{{"description", Field::description},
                                         {"activity", Field::activity},
                                         {"apps", Field::apps},
                                         {"topics", Field::topics}}};

constexpr std::string_view kMarks = " -*+>#_`~";
constexpr std::array<std::string_view, 3> kWideMarks = {"\xE2\x80\xA2", "\xE2\x80\x93",
                                                        "\xE2\x80\x94"};  // bullet, dashes

}  // namespace

std::size_t skip_marks(std::string_view text, std::size_t at) noexcept {
  while (at < text.size()) {
    if (kMarks.find(text[at]) != std::string_view::npos) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && is_digit(text[end])) ++end;
    if (end > at && end < text.size() && (text[end] == '.' || text[end] == ')')) {
      at = end + 1;
      continue;
    }
    const std::string_view wide = text.substr(at, kWideMarks.front().size());
    if (wide != kWideMarks[0] && wide != kWideMarks[1] && wide != kWideMarks[2]) break;
    at += wide.size();
  }
  return at;
}

std::optional<Key> key_named_at(std::string_view text, std::size_t name, std::size_t floor) {
  const Name* found = nullptr;
  for (const Name& candidate : kNames) {
    if (starts_with_any_case(text.substr(name), candidate.text)) found = &candidate;
  }
  if (found == nullptr) return std::nullopt;

  std::size_t opened = 0;
  const char mark = name > floor && is_decoration(text[name - 1]) ? text[name - 1] : '\0';
  while (mark != '\0' && name - opened > floor && text[name - opened - 1] == mark) ++opened;

  bool closed = opened == 0;
  std::size_t at = name + found->text.size();
  for (; at < text.size() && (text[at] == ' ' || is_decoration(text[at])); ++at) closed = closed || text[at] == mark;
  if (at == text.size() || text[at] != ':') return std::nullopt;
  ++at;
  if (!closed) {
    for (std::size_t i = 0; i < opened && at < text.size() && text[at] == mark; ++i, ++at) closed = true;
  }
  return Key{found->field, name, at, closed ? '\0' : mark};
}

std::optional<Key> key_at(std::string_view text, std::size_t at) {
  const std::size_t name = skip_marks(text, at);
  if (name >= text.size()) return std::nullopt;
  std::optional<Key> key = key_named_at(text, name, at);
  if (key) key->begin = at;
  return key;
}

std::optional<Key> next_key(std::string_view text, std::size_t from) {
  constexpr std::string_view kSeparators = "|\n";
  for (std::size_t at = text.find_first_of(kSeparators, from); at != std::string_view::npos;
       at = text.find_first_of(kSeparators, at + 1)) {
    if (std::optional<Key> key = key_at(text, at + 1)) {
      key->begin = at;
      return key;
    }
  }
  return std::nullopt;
}

}  // namespace escribano::form
