#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace escribano {

// The exact form of an answer as a byte automaton, by which generation is constrained token by token. A value of 20
// bytes without pointers: copying it is how a caller looks ahead. Equal values accept the same continuations.
//
//   line   = "description: " text " | activity: " word-text " | apps: " list " | topics: " list
//   answer = line                                          for single()
//          | "Frame 1: " line "\n" ... "\n" "Frame n: " line    for frames(n)
//   list   = "[]" | "[" item *(", " item) "]"
//
// text       well-formed UTF-8 without '|', line breaks and other control characters (C0, DEL, C1). At least one letter
//            or digit, so that an echoed "..." is no description; beyond ASCII everything counts as one but the
//            punctuation marks U+2000..U+203F. Spaces are single, none at either end. The first character is none of
//            " ' ` * [ and no such mark: nobody can say whether that is a quotation mark around the whole value.
// word-text  as text, but begins with a letter or digit and ends with one, or with a parenthesis opened inside it.
// item       as text, and without [ ] | , " and `. A comma therefore always separates two items.
//
// Two things are refused inside any of them, in any case of letters: "<think>" and "</think>", and the word
// "description" with a colon behind it (emphasis or spaces between them included), as the beginning of another answer in
// the middle of this one would be.
//
// Every answer accepted to its end is parsed by parse_description() or parse_frames() into exactly these fields, and
// to_line() of them is the line again. Every state has a legal continuation, so constraining never gets stuck. There is
// no limit to the length of a text: that is the token budget's.
//
// Thread safety: as an int. Nothing here allocates, blocks or throws.
class LineGrammar {
 public:
  // The answer to one frame.
  static LineGrammar single() noexcept;
  // The answer to `count` interleaved frames. With `count` below 1 only the empty answer is accepted.
  static LineGrammar frames(int count) noexcept;

  // Whether all of `bytes` are legal from here. They may begin and end anywhere, also inside a character; no bytes at
  // all are legal everywhere.
  bool accepts(std::string_view bytes) const noexcept;
  // Goes on by `bytes`. False where they are not legal: then nothing has changed.
  bool advance(std::string_view bytes) noexcept;
  // Whether the answer is complete, so that the end of the text is legal.
  bool can_end() const noexcept { return place_ == Place::end; }
  // Whether nothing but the end of the text is legal. In this grammar a complete answer has no continuation, so this is
  // can_end(); callers ask for what they mean.
  bool must_end() const noexcept { return place_ == Place::end; }

  friend bool operator==(const LineGrammar&, const LineGrammar&) = default;

 private:
  // In the order of the line; the literals lie between the fields.
  enum class Place : std::uint8_t { label, description, to_activity, activity, to_apps, apps, to_topics, topics, end };
  enum class Spot : std::uint8_t { value_start, item_start, inside, after_space, after_comma };
  // What the rest of a character that has begun may be: so many bytes, the next one of them limited.
  enum class Rest : std::uint8_t {
    none,
    one,
    one_c2,
    two,
    two_e0,
    two_e2,
    two_e2_first,
    two_ed,
    three,
    three_f0,
    three_f4
  };

  LineGrammar() = default;

  bool step(char byte) noexcept;
  char literal_byte(std::size_t at) const noexcept;
  bool literal_step(char byte) noexcept;
  bool text_step(char byte) noexcept;
  bool list_step(char byte) noexcept;
  bool begin_character(char byte) noexcept;
  bool continue_character(char byte) noexcept;
  void note_end(bool is_word, char byte) noexcept;
  bool may_begin_value(char byte) const noexcept;
  bool watch(char byte) noexcept;
  void enter(Place place) noexcept;
  void leave_list() noexcept;

  std::int32_t frame_ = 0;  // the line being written, from 1; 0 for single()
  std::int32_t count_ = 0;  // lines in all; 0 for single()
  Place place_ = Place::label;
  std::uint8_t offset_ = 0;  // bytes of the literal already seen
  Spot spot_ = Spot::value_start;
  Rest rest_ = Rest::none;
  bool has_word_ = false;  // the text or item has a letter or digit
  bool opened_ = false;    // ... and an opening parenthesis
  bool may_end_ = false;   // ... and ends, spaces aside, as an activity may
  std::uint8_t tag_ = 0;   // how much of "<think" or "</think" the last bytes are
  std::uint8_t key_ = 0;   // how much of "description" the last bytes are
};

}  // namespace escribano
