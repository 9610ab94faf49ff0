#pragma once

// Which part of an answer is about which frame. Private to this folder.

#include <cstddef>
#include <string_view>
#include <vector>

namespace escribano::form {

// A part of an answer that nothing may leave or enter.
struct Section {
  int frame = 0;          // the number in its label; 0 where it belongs to no frame
  std::size_t begin = 0;  // where its label begins
  std::size_t body = 0;   // where its label ends
  std::size_t end = 0;
};

enum class Labels {
  lines,  // words with a number at the beginning of a line: "Frame 1:", "**Image 2 (timestamp: 3s):**", "### Frame 3"
  everywhere,  // these, and inside a line where a colon and the key of a description follow
  numbers,     // bare numbers at the beginning of a line, where the key of a description follows: "1. description: ..."
};

// The sections of `text` in order. What stands in front of the first label is in none. The words are frame, image,
// screenshot and picture.
//
// A label inside a line ends the section before it all the same, but names its frame only behind a closing bracket or a
// separator: anywhere else the screen may be quoted, and then the section belongs to no frame.
std::vector<Section> sections(std::string_view text, Labels kind);

}  // namespace escribano::form
