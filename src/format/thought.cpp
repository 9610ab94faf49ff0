#include "format/thought.h"

#include <cstddef>

#include "format/chars.h"

namespace escribano {

std::string without_thought(std::string_view answer) {
  constexpr std::string_view kOpening = "<think>";
  constexpr std::string_view kClosing = "</think>";
  std::string kept;
  std::size_t from = 0;
  bool thinking = false;
  for (std::size_t at = answer.find('<'); at != std::string_view::npos; at = answer.find('<', at + 1)) {
    const std::string_view rest = answer.substr(at);
    if (form::starts_with_any_case(rest, kOpening)) {
      if (!thinking) kept.append(answer.substr(from, at - from)).push_back('\n');
      thinking = true;
    } else if (form::starts_with_any_case(rest, kClosing)) {
      if (!thinking) kept.clear();
      thinking = false;
      from = at + kClosing.size();
    }
  }
  if (!thinking) kept.append(answer.substr(from));
  return kept;
}

}  // namespace escribano
