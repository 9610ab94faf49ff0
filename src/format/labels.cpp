#include "format/labels.h"

#include <algorithm>
#include <array>
#include <optional>

#include "format/chars.h"
#include "format/keys.h"

namespace escribano::form {
namespace {

constexpr std::array<std::string_view, 4> kWords = {"frame", "image", "screenshot", "picture"};

struct Number {
  int value = 0;        // 0 where it is larger than any frame's
  std::size_t end = 0;  // where its digits end; where it would begin if there are none
};

Number number_at(std::string_view text, std::size_t at) noexcept {
  constexpr std::size_t kMostDigits = 9;  // fits an int
  Number number{0, at};
  while (number.end < text.size() && is_digit(text[number.end])) {
    const bool fits = number.end - at < kMostDigits;
    number.value = fits ? number.value * 10 + (text[number.end] - '0') : 0;
    ++number.end;
    if (!fits) number.value = 0;
  }
  return number;
}

std::size_t skip_any_of(std::string_view text, std::size_t at, std::string_view set) noexcept {
  return std::min(text.find_first_not_of(set, at), text.size());
}

// Behind a "(" or "[" at `at`, the place after its other half on the same line; `at` itself where that is too far away
// to be the time of a frame.
std::size_t skip_parenthesis(std::string_view text, std::size_t at) noexcept {
  constexpr std::size_t kLongest = 64;
  const char close = text[at] == '(' ? ')' : ']';
  const std::size_t end = text.substr(at, kLongest).find_first_of(close == ')' ? ")\n" : "]\n");
  return end == std::string_view::npos || text[at + end] == '\n' ? at : at + end + 1;
}

// Behind the number: " (timestamp: 3s)", " at 12.5s", " of 4", "/4", "]", "**".
std::size_t skip_tail(std::string_view text, std::size_t at) noexcept {
  constexpr std::string_view kBetween = " *_`#])>";
  constexpr std::string_view kTime = "0123456789.s";
  bool noted = false;
  for (;;) {
    at = skip_any_of(text, at, kBetween);
    if (noted || at == text.size()) return at;
    noted = true;
    if (text[at] == '(' || text[at] == '[') {
      at = skip_parenthesis(text, at);
    } else if (text[at] == '/') {
      at = number_at(text, at + 1).end;
    } else if (const std::string_view word = text.substr(at, 3); word == "at " || word == "of ") {
      at = skip_any_of(text, at + word.size(), kTime);
    }
  }
}

struct Label {
  int frame = 0;
  std::size_t end = 0;
  bool colon = false;      // written behind it
  bool describes = false;  // the key of a description follows on the same line
};

bool description_at(std::string_view text, std::size_t at) {
  const std::optional<Key> key = key_at(text, at);
  return key && key->field == Field::description;
}

// The label whose word begins at `at`.
std::optional<Label> worded_label(std::string_view text, std::size_t at) {
  std::size_t word = 0;
  for (const std::string_view candidate : kWords) {
    if (starts_with_any_case(text.substr(at), candidate)) word = candidate.size();
  }
  if (word == 0) return std::nullopt;
  const std::size_t digits = skip_any_of(text, at + word, " #*_`");
  const Number number = number_at(text, digits);
  if (number.end == digits) return std::nullopt;
  Label label{number.value, skip_tail(text, number.end)};
  label.colon = label.end < text.size() && text[label.end] == ':';
  if (label.colon) ++label.end;
  label.describes = description_at(text, label.end);
  return label;
}

// The label of the line that begins at `line`.
std::optional<Label> line_label(std::string_view text, std::size_t line) {
  const std::size_t word = skip_any_of(text, skip_marks(text, line), "[(< *_`");
  if (word == text.size()) return std::nullopt;
  std::optional<Label> label = worded_label(text, word);
  if (!label) return std::nullopt;
  const bool alone = label->end == text.size() || text[label->end] == '\n';
  if (label->colon || label->describes || alone) return label;
  // "Frame 1 - description: ...", "Frame 1. description: ...", "Frame 1 | description: ..."
  const std::size_t behind = skip_any_of(text, label->end, "-.|");
  if (!description_at(text, behind)) return std::nullopt;
  label->end = behind;
  return label;
}

// "1. description:", "[2] description:", "3: description:"
std::optional<Label> number_label(std::string_view text, std::size_t line) {
  const std::size_t digits = skip_any_of(text, line, " *_`#[(-");
  const Number number = number_at(text, digits);
  if (number.end == digits) return std::nullopt;
  const Label label{number.value, skip_any_of(text, number.end, " *_`.:)]-")};
  // The skipped emphasis may belong to the key, which looks back for it.
  if (!description_at(text, label.end)) return std::nullopt;
  return Label{number.value, number.end};
}

}  // namespace

std::vector<Section> sections(std::string_view text, Labels kind) {
  std::vector<Section> found;
  const auto begin_section = [&](int frame, std::size_t begin, std::size_t body) {
    if (!found.empty()) found.back().end = begin;
    found.push_back({frame, begin, body, text.size()});
  };
  char last_solid = '\n';  // the last byte that is no space, punctuation or emphasis
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (at == 0 || text[at - 1] == '\n') {
      const std::optional<Label> label = kind == Labels::numbers ? number_label(text, at) : line_label(text, at);
      if (label) {
        begin_section(label->frame, at, label->end);
        at = label->end - 1;
        last_solid = '\n';
        continue;
      }
    }
    if (kind == Labels::everywhere && is_ascii_alnum(text[at]) && (at == 0 || !is_word(text[at - 1]))) {
      const std::optional<Label> label = worded_label(text, at);
      if (label && label->colon && label->describes) {
        begin_section(last_solid == ']' || last_solid == '|' ? label->frame : 0, at, label->end);
        at = label->end - 1;
        last_solid = '\n';
        continue;
      }
    }
    constexpr std::string_view kThin = " .,;*_`";
    if (kThin.find(text[at]) == std::string_view::npos) last_solid = text[at];
  }
  return found;
}

}  // namespace escribano::form
