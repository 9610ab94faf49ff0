// The parser on any bytes, and the parser on whatever the grammar accepts. The first byte chooses the number of frames;
// the rest is an answer, and then once more the choices of a walk through the grammar.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "../tests/format/grammar_walk.h"
#include "base/utf8.h"
#include "format/clean.h"
#include "format/line_grammar.h"
#include "format/parser.h"

namespace {

using namespace escribano;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

bool is_answer(LineGrammar grammar, std::string_view text) { return grammar.advance(text) && grammar.can_end(); }

void require_clean(const std::string& text) {
  require(!text.empty() && is_valid_utf8(text), "a value is text");
  // Not alone on a line, where three backticks and a word would be a fence.
  require(form::clean_answer("x" + text) == "x" + text, "a value has no control characters and no thought");
  require(form::on_one_line(text) == text, "a value is on one line, without spaces to spare");
}

// What holds for every description, whatever it was parsed from.
void require_sound(const Description& parsed) {
  require_clean(parsed.description);
  require_clean(parsed.activity);
  for (const auto* list : {&parsed.apps, &parsed.topics}) {
    for (const std::string& item : *list) require_clean(item);
  }
  const std::string line = to_line(parsed);
  require(is_answer(LineGrammar::single(), line), "the line of a parsed description is legal");
  const std::optional<Description> again = parse_description(line);
  require(again.has_value(), "the line of a parsed description is parsed");
  require(to_line(*again) == line, "... and then stays as it is");
}

// No word of a description comes from outside its part of the answer.
void require_own(const FrameAnswer& frame) {
  if (!frame.description) return;
  const std::string own = form::on_one_line(frame.raw);
  const auto has = [&](const std::string& value) { return own.find(value) != std::string::npos; };
  require(has(frame.description->description) && has(frame.description->activity), "a text is the frame's own");
  for (const auto* list : {&frame.description->apps, &frame.description->topics}) {
    for (const std::string& item : *list) require(has(item), "an item is the frame's own");
  }
}

void require_read_back(const std::string& text, int count) {
  if (count == 0) {
    const std::optional<Description> parsed = parse_description(text);
    require(parsed && to_line(*parsed) == text, "what the grammar accepts is read back unchanged");
    return;
  }
  std::string again;
  for (const FrameAnswer& frame : parse_frame_answers(text, static_cast<std::size_t>(count))) {
    require(frame.description.has_value(), "every frame that the grammar accepts is parsed");
    if (!again.empty()) again += '\n';
    again += frame.raw;
    require(frame.raw.ends_with(to_line(*frame.description)), "a frame is read back unchanged");
  }
  require(again == text, "the parts of an answer are the answer");
}

LineGrammar grammar_of(int count) { return count == 0 ? LineGrammar::single() : LineGrammar::frames(count); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const int count = data[0] % 5;
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);

  if (const std::optional<Description> parsed = parse_description(text)) require_sound(*parsed);
  const std::vector<FrameAnswer> frames = parse_frame_answers(text, static_cast<std::size_t>(count));
  require(frames.size() == static_cast<std::size_t>(count), "there is an entry for every frame");
  for (const FrameAnswer& frame : frames) {
    require(is_valid_utf8(frame.raw), "raw text is text");
    require_own(frame);
    if (frame.description) require_sound(*frame.description);
  }

  if (is_answer(grammar_of(count), text) && !text.empty()) require_read_back(text, count);
  const std::string legal = walk(grammar_of(count), std::span<const unsigned char>(data + 1, size - 1));
  require(!legal.empty(), "the grammar has no dead end");
  require_read_back(legal, count);
  return 0;
}
