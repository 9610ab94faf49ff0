#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "format/line_grammar.h"

namespace escribano {

// Pieces that lead a walk through the grammar to its corners; bytes of characters come in parts on purpose.
// clang-format off
inline constexpr std::string_view kWalkPieces[] = {
    "a", "Z", "7", " ", " | ", "|", "]", "[", ",", ", ", "(", ")", "\"", "'", "`", "*", "_", "-", ".", ":", "<", ">",
    "/", "think", "<think>", "</THINK>", "description", "Description**:", "activity: ", "apps: [", "topics: [x]",
    "Frame 2: ", "Frame 1 (", "Image 3: description", "1. ", "- ", "none", "...", "\n", "\r", "\t", "\x7F", "\xC2",
    "\x80", "\xA0", "\xC3\xA9", "\xE2\x82\xAC", "\xE2", "\x80\x9C", "\xE0", "\xED", "\x9F", "\xBF",
    "\xF0\x9F\x98\x80", "\xF0", "\xF4", "\xFF", "```", "\xE2\x80\xA2", "a, b)", "(c, d", "VS Code"};
// clang-format on

// Appends to `text` what completes the answer that `grammar` has accepted so far. False where nothing is legal: a dead
// end, of which there must be none.
inline bool complete(LineGrammar& grammar, std::string& text) {
  const auto take = [&](std::string_view piece) {
    if (!grammar.advance(piece)) return false;
    text += piece;
    return true;
  };
  const auto take_any_byte = [&] {
    for (int byte = 255; byte >= 0; --byte) {
      const char candidate = static_cast<char>(byte);
      if (take({&candidate, 1})) return true;
    }
    return false;
  };
  while (!grammar.can_end()) {
    LineGrammar closed = grammar;
    if (closed.advance("]") && closed.can_end()) {
      take("]");
    } else if (!take("] | topics: [") && !take("]\nFrame ") && !take(" | activity: ") && !take("| activity: ") &&
               !take(" | apps: [") && !take("| apps: [") && !take("x") && !take_any_byte()) {
      return false;
    }
  }
  return true;
}

// A complete answer, led by `choices`: each proposes a piece, which is taken where it is legal. Empty where the walk met
// a dead end.
inline std::string walk(LineGrammar grammar, std::span<const unsigned char> choices) {
  std::string text;
  for (const unsigned char choice : choices) {
    std::string_view piece = kWalkPieces[choice % std::size(kWalkPieces)];
    // Where the form leaves no choice, the walk follows it.
    for (const std::string_view forced :
         {"description: ", "\nFrame ", "Frame ", " activity: ", " apps: [", " | topics: ["}) {
      if (grammar.accepts(forced) && !grammar.accepts("x")) piece = forced;
    }
    if (!grammar.advance(piece)) {
      const char byte = static_cast<char>(choice);
      if (!grammar.advance({&byte, 1})) continue;
      text += byte;
    } else {
      text += piece;
    }
  }
  return complete(grammar, text) ? text : std::string();
}

}  // namespace escribano
