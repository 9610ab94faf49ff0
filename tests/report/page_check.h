#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace escribano {

// An element as it was opened, with its attributes as they stand in the source.
struct Tag {
  std::string name;
  std::vector<std::pair<std::string, std::string>> attributes;
};

// What is wrong with `html` as our own pages are written: every '<' begins a tag, every attribute is quoted, elements are closed in
// order. Empty where nothing is. `tags` gets every tag that was opened.
inline std::string problem_in(std::string_view html, std::vector<Tag>& tags) {
  static const std::set<std::string, std::less<>> kVoid = {"meta", "link", "img", "input", "hr", "br", "!doctype"};
  std::vector<std::string> open;
  std::size_t i = 0;
  const auto around = [&] { return std::string(html.substr(i < 40 ? 0 : i - 40, 120)); };
  while ((i = html.find('<', i)) != std::string_view::npos) {
    const bool closing = html.substr(i + 1, 1) == "/";
    const std::size_t from = i + (closing ? 2 : 1);
    const std::size_t name_end = html.find_first_of(" >/\n", from);
    if (name_end == std::string_view::npos || name_end == from) return "no tag: " + around();
    const std::string name(html.substr(from, name_end - from));
    if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789!CEDOPTY") != std::string::npos)
      return "name: " + around();
    if (closing) {
      if (open.empty() || open.back() != name) return "closes " + name + ": " + around();
      open.pop_back();
      i = name_end + 1;
      continue;
    }
    Tag tag = {name, {}};
    std::size_t at = name_end;
    while (html.substr(at, 1) == " ") {
      const std::size_t end = html.find_first_of("=> /", ++at);
      if (end == std::string_view::npos) return "attribute: " + around();
      std::string attribute(html.substr(at, end - at));
      std::string value;
      at = end;
      if (html[at] == '=') {
        if (html.substr(at + 1, 1) != "\"") return "unquoted: " + around();
        const std::size_t close = html.find('"', at + 2);
        if (close == std::string_view::npos) return "open quote: " + around();
        value = html.substr(at + 2, close - at - 2);
        at = close + 1;
      }
      tag.attributes.emplace_back(std::move(attribute), std::move(value));
    }
    const bool self_closing = html.substr(at, 2) == "/>";
    if (!self_closing && html.substr(at, 1) != ">") return "end of tag: " + around();
    i = at + (self_closing ? 2 : 1);
    if (name == "script" || name == "style") {
      i = html.find("</" + name, i);
      if (i == std::string_view::npos) return "open " + name;
      open.push_back(name);
    } else if (!self_closing && !kVoid.contains(name)) {
      open.push_back(name);
    }
    tags.push_back(std::move(tag));
  }
  return open.empty() ? "" : "left open: " + open.back();
}

}  // namespace escribano
