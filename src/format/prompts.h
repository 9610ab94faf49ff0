#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace escribano {

// What a prompt template leaves open. Both texts are borrowed for the call they are passed to.
struct Placeholder {
  std::string_view name;   // as between the braces: a letter or '_', then letters, digits and '_'
  std::string_view value;  // any text, inserted as it is
};

// `template_text` with every {name} replaced by the value of that name, in one pass: values are never looked into, so
// that "{n}", "$&" or "\1" in a value stays what it is. A brace that does not belong to a {name} is text.
//
// Fails with invalid_argument where the template has a {name} without a value, so that no placeholder ever reaches a
// model; where two values have the same name; or where a name could never stand in a template. A value that the template
// does not use is no error. Pure; any thread.
Result<std::string> fill(std::string_view template_text, std::span<const Placeholder> values);

inline Result<std::string> fill(std::string_view template_text, std::initializer_list<Placeholder> values) {
  return fill(template_text, std::span<const Placeholder>(values.begin(), values.size()));
}

enum class PromptKind : std::uint8_t {
  single,     // after one frame; no placeholders
  batch,      // after {n} frames, each introduced by its frame_label()
  summary,    // of the timed lines {segments}; no frames
  standup,    // likewise, as a note for a stand-up
  narrative,  // likewise, as paragraphs
  fold,       // of {parts}, which are texts on parts of one session, one {form}; no frames
};

// The template of that kind in assets/prompts/, as it was when the program was built, without the line break at its end.
// Static storage.
std::string_view builtin_prompt(PromptKind kind) noexcept;

// What introduces a frame in an interleaved prompt: "Frame 1 (timestamp: 12.5s):". `number` counts from 1;
// `timestamp_s` is finite and written with one decimal.
std::string frame_label(int number, double timestamp_s);

}  // namespace escribano
