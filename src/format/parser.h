#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/description.h"

namespace escribano {

// Reads answers of the form
//   description: ... | activity: ... | apps: [...] | topics: [...]
// and, for several frames, one such line each behind "Frame i:".
//
// Lenient where models are sloppy. Keys may be in any case and order, in Markdown emphasis, behind bullets or numbers,
// separated by '|' or each on a line of its own; lists may lack their brackets, have quoted items, or be bullet lines.
// Text before and after, code fences and <think> blocks are passed over. Bytes that are not UTF-8 become U+FFFD, control
// characters are removed, runs of white space become one space.
//
// Strict where leniency would make something up:
//   - A frame is parsed if all four fields are there, description and activity with a letter or digit each; lists may be
//     empty. Anything less is no description, and nothing is filled in from elsewhere.
//   - Sections of different frames (see parse_frames) share nothing.
//   - A key counts behind '|', a line break, a closed list or where the text begins; anywhere else the word is text, as
//     is a '|' without a key behind it. (Only the first description may follow a preamble on its line.)
//   - A key that comes twice begins a new attempt; attempts are not merged, and the first complete one wins.
//   - A list that is still open where the answer ends was cut off, and is missing. So is a `topics:` with nothing behind.
//   - What a <think> block contains is never an answer. One that is never closed reaches to the end; one that was never
//     opened began with the answer (chat templates of thinking models put the opening tag into the prompt).
//
// The activity is kept as the model wrote it, case and number of words included, without the punctuation around it; of
// several lines it is the first. The description keeps its punctuation and loses what encloses all of it.
//
// All functions are pure, may run on any thread, take time linear in the length of `answer` and throw nothing but
// std::bad_alloc.

// The answer to a single frame; nothing where it has not the form above. Labels at the beginning of a line ("Frame 1:")
// are passed over; where there are several, the first section that is complete wins.
std::optional<Description> parse_description(std::string_view answer);

// One frame of an answer to several.
struct FrameAnswer {
  std::optional<Description> description;
  // The part of the answer that is about this frame, label included, as the parser saw it (valid UTF-8, no control
  // characters but line breaks, no thought). Empty where the answer has no such part.
  std::string raw;

  friend bool operator==(const FrameAnswer&, const FrameAnswer&) = default;
};

// The answer to `count` interleaved frames: `count` entries, entry i-1 for Frame i.
//
// A frame's section begins with its label at the beginning of a line ("Frame 2:", "**Image 2 (timestamp: 3s):**",
// "### Frame 2") and ends where the next label begins, whatever number that has. A label inside a line counts where
// "description:" follows it; unless it stands behind a closed list or a '|' its section belongs to nobody. Lines with bare
// numbers ("2. description: ...") are taken for labels where the answer has no others. Without any label nothing is
// assigned, except that the whole answer belongs to the frame if `count` is 1.
//
// Labels outside 1..count are ignored. Where a frame has several sections, the first complete one is its description and
// its raw text; if none is complete, raw is the first. A section that begins a second attempt after an incomplete one
// with text in it is not parsed unless `count` is 1: the second may be the next frame, without its label.
std::vector<FrameAnswer> parse_frame_answers(std::string_view answer, std::size_t count);

// The descriptions of parse_frame_answers() alone.
std::vector<std::optional<Description>> parse_frames(std::string_view answer, std::size_t count);

}  // namespace escribano
