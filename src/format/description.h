#pragma once

#include <string>
#include <vector>

namespace escribano {

// What one frame shows, as the model says it. Plain values: copy and compare freely.
struct Description {
  std::string description;
  std::string activity;
  std::vector<std::string> apps;
  std::vector<std::string> topics;

  friend bool operator==(const Description&, const Description&) = default;
};

// The canonical line of one frame, without a line break:
//   description: X | activity: Y | apps: [A, B] | topics: [C, D, E]
// A value that fits the form (LineGrammar) is written as it is, and parse_description() gives it back. What would break
// the form is written as its nearest harmless neighbour ('|' as '/', brackets in a list item as parentheses, a comma in
// a list item as ';' unless it stands in parentheses) or left out (control characters, quotes around an item, list items
// without a letter or digit). The result is accepted by LineGrammar::single() whatever the fields hold, with one
// exception: a description or activity without a letter or digit is written as nothing, and such a line does not parse.
std::string to_line(const Description& description);

}  // namespace escribano
