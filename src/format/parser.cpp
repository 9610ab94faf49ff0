#include "format/parser.h"

#include <algorithm>
#include <array>
#include <utility>

#include "format/chars.h"
#include "format/clean.h"
#include "format/keys.h"
#include "format/labels.h"
#include "format/lists.h"

namespace escribano {
namespace {

using form::Field;
using form::Key;

// Without spaces, separators and the far end of emphasis that began in front of the key. A description with no key behind
// it ends with its paragraph: what follows is the model's parting words.
std::string description_value(std::string_view text, char unclosed, bool ends_section) {
  if (ends_section) text = form::trimmed(text).substr(0, form::trimmed(text).find("\n\n"));
  const std::size_t last = text.find_last_not_of(" \n|");
  text = last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
  if (unclosed != '\0') text = text.substr(0, text.find_last_not_of(unclosed) + 1);
  return form::on_one_line(form::unwrapped(text));
}

std::string activity_value(std::string_view text) {
  text = form::trimmed(text);
  return form::on_one_line(form::without_punctuation_around(text.substr(0, text.find('\n'))));
}

// Reads the fields of one section, in which nothing belongs to another frame.
class SectionReader {
 public:
  // `to_the_end`: the section is the last of the answer. `alone`: the answer is about no other frame.
  SectionReader(std::string_view text, bool to_the_end, bool alone)
      : text_(text), to_the_end_(to_the_end), alone_(alone) {}

  std::optional<Description> read() {
    for (std::optional<Key> next = first_key(); next;) {
      const Key key = *next;
      if (std::exchange(seen_[index(key.field)], true)) {
        const bool has_text = valid_[index(Field::description)] || valid_[index(Field::activity)];
        if (has_text && !alone_) return std::nullopt;  // this may be the next frame, without its label
        begin_anew(key.field);
      }
      next = take(key);
      if (complete()) return std::move(fields_);
    }
    return std::nullopt;
  }

 private:
  static std::size_t index(Field field) noexcept { return static_cast<std::size_t>(field); }

  bool complete() const noexcept { return std::find(valid_.begin(), valid_.end(), false) == valid_.end(); }

  void begin_anew(Field field) {
    fields_ = {};
    seen_ = {};
    valid_ = {};
    seen_[index(field)] = true;
  }

  // Reads the value of `key`; returns the key behind it.
  std::optional<Key> take(const Key& key) {
    bool& valid = valid_[index(key.field)];
    if (key.field == Field::apps || key.field == Field::topics) {
      form::ListValue list = form::read_list(text_, key.value, to_the_end_);
      valid = list.items.has_value();
      if (valid) (key.field == Field::apps ? fields_.apps : fields_.topics) = *std::move(list.items);
      return list.closed ? key_behind_list(list.end) : form::next_key(text_, list.end);
    }
    std::size_t begin = key.value;
    if (key.field == Field::description) begin = behind_repetitions(begin);
    std::optional<Key> next = form::next_key(text_, begin);
    const std::string_view value = text_.substr(begin, (next ? next->begin : text_.size()) - begin);
    std::string& field = key.field == Field::description ? fields_.description : fields_.activity;
    field = key.field == Field::description ? description_value(value, key.unclosed, !next) : activity_value(value);
    valid = form::has_word(field);
    return next;
  }

  // "The description: description: ..."
  std::size_t behind_repetitions(std::size_t at) const {
    for (;;) {
      const std::size_t name = std::min(text_.find_first_not_of(' ', at), text_.size());
      const std::optional<Key> key = form::key_named_at(text_, name, name);
      if (!key || key->field != Field::description) return at;
      at = key->value;
    }
  }

  // A closed list needs no separator behind it.
  std::optional<Key> key_behind_list(std::size_t end) const {
    const std::size_t at = std::min(text_.find_first_not_of(" .,;)]}\"'", end), text_.size());
    std::optional<Key> key = form::key_at(text_, at);
    return key ? key : form::next_key(text_, end);
  }

  std::optional<Key> first_key() const {
    std::optional<Key> key = form::key_at(text_, 0);
    if (key) return key;
    key = form::next_key(text_, 0);
    const std::string_view preamble = text_.substr(0, key ? key->begin : text_.size());
    for (std::size_t at = preamble.find_first_of("dD"); at != std::string_view::npos;
         at = preamble.find_first_of("dD", at + 1)) {
      if (at > 0 && form::is_ascii_alnum(preamble[at - 1])) continue;
      const std::optional<Key> inside = form::key_named_at(text_, at, 0);
      if (inside && inside->field == Field::description) return inside;
    }
    return key;
  }

  std::string_view text_;
  bool to_the_end_;
  bool alone_;
  Description fields_;
  std::array<bool, 4> seen_{};
  std::array<bool, 4> valid_{};
};

}  // namespace

std::optional<Description> parse_description(std::string_view answer) {
  const std::string text = form::clean_answer(answer);
  const std::string_view view = text;
  std::vector<form::Section> parts = form::sections(view, form::Labels::lines);
  parts.insert(parts.begin(), {0, 0, 0, parts.empty() ? view.size() : parts.front().begin});
  for (const form::Section& part : parts) {
    SectionReader reader(view.substr(part.body, part.end - part.body), part.end == view.size(), true);
    if (std::optional<Description> found = reader.read()) return found;
  }
  return std::nullopt;
}

std::vector<FrameAnswer> parse_frame_answers(std::string_view answer, std::size_t count) {
  const std::string text = form::clean_answer(answer);
  const std::string_view view = text;
  std::vector<form::Section> parts = form::sections(view, form::Labels::everywhere);
  if (parts.empty()) parts = form::sections(view, form::Labels::numbers);
  if (parts.empty() && count == 1) parts.push_back({1, 0, 0, view.size()});

  std::vector<FrameAnswer> frames(count);
  for (const form::Section& part : parts) {
    if (part.frame < 1 || static_cast<std::size_t>(part.frame) > count) continue;
    FrameAnswer& frame = frames[static_cast<std::size_t>(part.frame) - 1];
    if (frame.description) continue;
    SectionReader reader(view.substr(part.body, part.end - part.body), part.end == view.size(), count == 1);
    frame.description = reader.read();
    if (frame.description || frame.raw.empty()) {
      frame.raw = form::trimmed(view.substr(part.begin, part.end - part.begin));
    }
  }
  return frames;
}

std::vector<std::optional<Description>> parse_frames(std::string_view answer, std::size_t count) {
  std::vector<std::optional<Description>> descriptions;
  descriptions.reserve(count);
  for (FrameAnswer& frame : parse_frame_answers(answer, count)) {
    descriptions.push_back(std::move(frame.description));
  }
  return descriptions;
}

}  // namespace escribano
