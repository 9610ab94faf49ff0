#include "format/line_grammar.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <limits>

#include "format/chars.h"

namespace escribano {
namespace {

constexpr std::string_view kKey = "description";
constexpr std::string_view kTag = "think";

// Byte `at` of "\nFrame 2: description: "; the first frame has no line break, and frame 0 no number either. '\0' behind
// the end.
char label_byte(std::int32_t frame, std::size_t at) noexcept {
  constexpr std::string_view kBegin = "\nFrame ";
  constexpr std::string_view kEnd = ": description: ";
  if (frame == 0) {
    at += 2;
  } else {
    at += frame == 1 ? 1 : 0;
    if (at < kBegin.size()) return kBegin[at];
    at -= kBegin.size();
    std::array<char, std::numeric_limits<std::int32_t>::digits10 + 1> digits{};
    const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), frame).ptr;
    const auto count = static_cast<std::size_t>(end - digits.data());
    if (at < count) return digits[at];
    at -= count;
  }
  return at < kEnd.size() ? kEnd[at] : '\0';
}

// Byte `at` of a literal; '\0' behind its end.
char byte_of(std::string_view literal, std::size_t at) noexcept { return at < literal.size() ? literal[at] : '\0'; }

}  // namespace

LineGrammar LineGrammar::single() noexcept { return LineGrammar(); }

LineGrammar LineGrammar::frames(int count) noexcept {
  LineGrammar grammar;
  grammar.frame_ = 1;
  grammar.count_ = count < 1 ? 0 : count;
  if (count < 1) grammar.place_ = Place::end;
  return grammar;
}

bool LineGrammar::accepts(std::string_view bytes) const noexcept {
  LineGrammar ahead = *this;
  for (const char byte : bytes) {
    if (!ahead.step(byte)) return false;
  }
  return true;
}

bool LineGrammar::advance(std::string_view bytes) noexcept {
  LineGrammar ahead = *this;
  for (const char byte : bytes) {
    if (!ahead.step(byte)) return false;
  }
  *this = ahead;
  return true;
}

bool LineGrammar::step(char byte) noexcept {
  switch (place_) {
    case Place::label:
    case Place::to_activity:
    case Place::to_apps:
    case Place::to_topics: return literal_step(byte);
    case Place::description:
    case Place::activity: return text_step(byte);
    case Place::apps:
    case Place::topics: return list_step(byte);
    case Place::end: break;
  }
  return false;
}

char LineGrammar::literal_byte(std::size_t at) const noexcept {
  switch (place_) {
    case Place::label: return label_byte(frame_, at);
    case Place::to_activity: return byte_of(" activity: ", at);
    case Place::to_apps: return byte_of(" apps: [", at);
    default: return byte_of(" | topics: [", at);
  }
}

bool LineGrammar::literal_step(char byte) noexcept {
  // No literal has a zero byte, so the end of one never matches.
  if (byte == '\0' || byte != literal_byte(offset_)) return false;
  ++offset_;
  if (literal_byte(offset_) == '\0') enter(static_cast<Place>(static_cast<std::uint8_t>(place_) + 1));
  return true;
}

bool LineGrammar::text_step(char byte) noexcept {
  if (rest_ != Rest::none) return continue_character(byte);
  if (byte == '|') {
    const bool whole = place_ == Place::activity ? may_end_ : has_word_;
    if (spot_ != Spot::after_space || !whole) return false;
    enter(place_ == Place::description ? Place::to_activity : Place::to_apps);
    return true;
  }
  if (byte == ' ') {
    if (spot_ != Spot::inside) return false;
    spot_ = Spot::after_space;
    return watch(byte);
  }
  return begin_character(byte);
}

bool LineGrammar::list_step(char byte) noexcept {
  if (rest_ != Rest::none) return continue_character(byte);
  const bool item_is_whole = spot_ == Spot::inside && has_word_;
  switch (byte) {
    case ']':
      if (!item_is_whole && spot_ != Spot::value_start) return false;
      leave_list();
      return true;
    case ',':
      if (!item_is_whole) return false;
      spot_ = Spot::after_comma;
      has_word_ = false;
      return watch(byte);
    case ' ':
      if (spot_ != Spot::inside && spot_ != Spot::after_comma) return false;
      spot_ = spot_ == Spot::inside ? Spot::after_space : Spot::item_start;
      return watch(byte);
    case '[':
    case '|':
    case '"':
    case '`': return false;
    default: return spot_ != Spot::after_comma && begin_character(byte);
  }
}

// Table 3-7 of the Unicode standard, less the C1 controls.
bool LineGrammar::begin_character(char byte) noexcept {
  const bool first = spot_ == Spot::value_start || spot_ == Spot::item_start;
  if (form::is_control(byte) || (first && !may_begin_value(byte))) return false;
  const auto value = static_cast<unsigned char>(byte);
  if (value >= 0x80) {
    if (value < 0xC2 || value > 0xF4) return false;
    if (value < 0xE0) {
      rest_ = value == 0xC2 ? Rest::one_c2 : Rest::one;
    } else if (value < 0xF0) {
      rest_ = value == 0xE0   ? Rest::two_e0
              : value == 0xED ? Rest::two_ed
              : value != 0xE2 ? Rest::two
              : first         ? Rest::two_e2_first
                              : Rest::two_e2;
    } else {
      rest_ = value == 0xF0 ? Rest::three_f0 : value == 0xF4 ? Rest::three_f4 : Rest::three;
    }
  }
  spot_ = Spot::inside;
  opened_ = opened_ || byte == '(';
  note_end(form::is_word(byte) && rest_ != Rest::two_e2, byte);
  return watch(byte);
}

void LineGrammar::note_end(bool is_word, char byte) noexcept {
  has_word_ = has_word_ || is_word;
  may_end_ = is_word || (byte == ')' && opened_);
}

bool LineGrammar::continue_character(char byte) noexcept {
  struct Range {
    unsigned char low, high;
    Rest then;
  };
  static constexpr std::array<Range, 11> kRanges = {{
      {0xFF, 0x00, Rest::none},  // none
      {0x80, 0xBF, Rest::none},  // one
      {0xA0, 0xBF, Rest::none},  // one_c2: no C1 controls
      {0x80, 0xBF, Rest::one},   // two
      {0xA0, 0xBF, Rest::one},   // two_e0: no overlong forms
      {0x80, 0xBF, Rest::one},   // two_e2
      {0x81, 0xBF, Rest::one},   // two_e2_first: no punctuation mark where a value begins
      {0x80, 0x9F, Rest::one},   // two_ed: no surrogates
      {0x80, 0xBF, Rest::two},   // three
      {0x90, 0xBF, Rest::two},   // three_f0: no overlong forms
      {0x80, 0x8F, Rest::two},   // three_f4: nothing above U+10FFFF
  }};
  const Range& range = kRanges[static_cast<std::size_t>(rest_)];
  const auto value = static_cast<unsigned char>(byte);
  if (value < range.low || value > range.high) return false;
  // Only now is it known whether the character is a punctuation mark (see chars.h).
  if (rest_ == Rest::two_e2) note_end(value != 0x80, byte);
  rest_ = range.then;
  return true;
}

bool LineGrammar::may_begin_value(char byte) const noexcept {
  return place_ == Place::activity ? form::is_word(byte) : !form::is_enclosing(byte);
}

// Follows the two phrases that are refused; false where `byte` would complete one.
bool LineGrammar::watch(char byte) noexcept {
  // tag_: 1 is "<", 2 is "</", 2 + k is either of them and k letters.
  const std::size_t letters = tag_ > 2 ? tag_ - 2u : 0u;
  if (letters == kTag.size() && byte == '>') return false;
  if (byte == '<') {
    tag_ = 1;
  } else if (tag_ == 1 && byte == '/') {
    tag_ = 2;
  } else if (tag_ > 0 && letters < kTag.size() && form::lower(byte) == kTag[letters]) {
    tag_ = static_cast<std::uint8_t>(3 + letters);
  } else {
    tag_ = 0;
  }
  // The first letter of the key is nowhere else in it, so a mismatch can only begin it anew.
  if (key_ == kKey.size()) {
    if (byte == ':') return false;
    if (byte == ' ' || form::is_decoration(byte)) return true;
  } else if (form::lower(byte) == kKey[key_]) {
    ++key_;
    return true;
  }
  key_ = form::lower(byte) == kKey[0] ? 1 : 0;
  return true;
}

void LineGrammar::enter(Place place) noexcept {
  place_ = place;
  offset_ = 0;
  spot_ = Spot::value_start;
  rest_ = Rest::none;
  has_word_ = false;
  opened_ = false;
  may_end_ = false;
  tag_ = 0;
  key_ = 0;
}

void LineGrammar::leave_list() noexcept {
  if (place_ == Place::apps) return enter(Place::to_topics);
  if (frame_ >= count_) return enter(Place::end);
  ++frame_;
  enter(Place::label);
}

}  // namespace escribano
