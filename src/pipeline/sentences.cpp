#include "pipeline/sentences.h"

#include <algorithm>
#include <string>

#include "pipeline/words.h"

namespace escribano {
namespace {

// Whether the dot at `dot` belongs to the word before it.
bool abbreviates(std::string_view text, std::size_t dot) {
  std::size_t begin = dot;
  while (begin > 0 && !words::is_space(text[begin - 1]) && text[begin - 1] != '(') --begin;
  const std::string word = words::lowered(text.substr(begin, dot - begin));
  constexpr std::string_view kShort[] = {"e.g", "i.e", "etc", "vs",     "mr",  "mrs", "ms",  "dr",
                                         "no",  "inc", "ltd", "approx", "fig", "st",  "prof"};
  if (std::find(std::begin(kShort), std::end(kShort), word) != std::end(kShort)) return true;
  return word.size() == 1 && words::is_letter(word.front());
}

}  // namespace

std::vector<std::string_view> sentences(std::string_view text) {
  std::vector<std::string_view> found;
  std::size_t begin = 0;
  const auto end_at = [&](std::size_t end) {
    const std::string_view sentence = words::trimmed(text.substr(begin, end - begin));
    if (!sentence.empty()) found.push_back(sentence);
    begin = end;
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\n' || c == '\r') {
      end_at(at);
      continue;
    }
    if (c != '.' && c != '!' && c != '?') continue;
    std::size_t next = at + 1;
    while (next < text.size() && std::string_view(".!?\"')]*").find(text[next]) != std::string_view::npos) ++next;
    if (next < text.size() && !words::is_space(text[next])) continue;
    const std::size_t end = next;
    while (next < text.size() && words::is_space(text[next])) ++next;
    if (next < text.size() && words::is_lower(text[next])) continue;
    if (c == '.' && next < text.size() && abbreviates(text, at)) continue;
    end_at(end);
    at = end - 1;
  }
  end_at(text.size());
  return found;
}

}  // namespace escribano
