#include "pipeline/markdown.h"

#include <algorithm>

#include "base/utf8.h"
#include "pipeline/words.h"

namespace escribano {
namespace {

// "https://x", "www.x", "someone@x": viewers make links and mentions of these even without marks.
bool is_linked_by_viewers(std::string_view word) {
  const std::string lower = words::lowered(word);
  return lower.find("://") != std::string::npos || lower.find("www.") != std::string::npos ||
         lower.find('@') != std::string::npos || lower.find("mailto:") != std::string::npos ||
         lower.find("javascript:") != std::string::npos;
}

void append_escaped(std::string& out, std::string_view word) {
  for (std::size_t i = 0; i < word.size(); ++i) {
    const char c = word[i];
    const bool inside = i > 0 && i + 1 < word.size() && words::is_word(word[i - 1]) && words::is_word(word[i + 1]);
    if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '&' && i + 1 < word.size()) {
      out += "&amp;";
    } else {
      const bool mark = std::string_view("\\`*[]|~$").find(c) != std::string_view::npos;
      if (mark || (c == '_' && !inside)) out += '\\';
      out += c;
    }
  }
}

}  // namespace

std::string markdown_escaped(std::string_view text) {
  const std::string valid = to_valid_utf8(text);
  std::string out;
  for (const std::string_view word : words::split_at_spaces(valid)) {
    if (!out.empty()) out += ' ';
    if (is_linked_by_viewers(word)) {
      std::string code(word);
      std::erase_if(code, [](char c) { return std::string_view("`<>[]()").find(c) != std::string_view::npos; });
      out += "`" + code + "`";
    } else {
      append_escaped(out, word);
    }
  }
  return out;
}

std::string shortened(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  text = text.substr(0, bytes);
  const std::size_t space = text.rfind(' ');
  text =
      space != std::string_view::npos && space > 0 ? text.substr(0, space) : text.substr(0, complete_utf8_prefix(text));
  while (!text.empty() && std::string_view(" ,;:-(").find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  return std::string(text) + "...";
}

}  // namespace escribano
