#include "pipeline/names.h"

#include <algorithm>
#include <cstddef>
#include <initializer_list>

#include "pipeline/names_known.h"
#include "pipeline/words.h"

namespace escribano {
namespace {

// "(64-bit)", "(Incognito)" at the end.
std::string_view without_parenthesis(std::string_view name) {
  if (!name.ends_with(')')) return name;
  const std::size_t open = name.rfind('(');
  return open == std::string_view::npos || open == 0 ? name : words::trimmed(name.substr(0, open));
}

// "1.85", "v2", "2024": what no app has at the end of its name but as a version. A lone small number may be part of the
// name ("Team Fortress 2"), and goes only where what is left is a known app.
bool is_version(std::string_view word, bool any_number) {
  if (word.size() > 1 && (word.front() == 'v' || word.front() == 'V')) {
    word.remove_prefix(1);
    any_number = true;
  }
  if (word.empty() || !words::is_digit(word.front())) return false;
  if (!std::all_of(word.begin(), word.end(), [](char c) { return words::is_digit(c) || c == '.'; })) return false;
  const bool year = word.size() == 4 && (word.starts_with("19") || word.starts_with("20"));
  return any_number || year || word.find('.') != std::string_view::npos;
}

std::string_view without_last_word(std::string_view name) {
  const std::size_t space = name.rfind(' ');
  return space == std::string_view::npos ? std::string_view() : words::trimmed(name.substr(0, space));
}

std::string_view last_word(std::string_view name) {
  const std::size_t space = name.rfind(' ');
  return space == std::string_view::npos ? name : name.substr(space + 1);
}

// What every app may have behind its name: ".app", a version. Single-spaced text in and out.
std::string_view without_ending(std::string_view name) {
  for (;;) {
    std::string_view next = name;
    for (const std::string_view ending : {".app", ".exe"}) {
      if (next.size() > ending.size() && words::equal_any_case(next.substr(next.size() - ending.size()), ending)) {
        next.remove_suffix(ending.size());
      }
    }
    if (const std::string_view rest = without_last_word(next); !rest.empty() && is_version(last_word(next), false)) {
      next = rest;
    }
    next = words::trimmed(next);
    if (next == name || words::compact(next).empty()) return name;
    name = next;
  }
}

// What only the name of a known app is stripped of: "Slack window", "Excel 16", "Chrome (Incognito)".
const std::string* known_stripped(std::string_view name) {
  for (;;) {
    if (const std::string* known = known_app(words::compact(name))) return known;
    std::string_view next = without_parenthesis(name);
    if (next == name) {
      constexpr std::string_view kGeneric[] = {"app", "application", "window", "browser", "desktop", "client", "web"};
      const std::string word = words::lowered(last_word(name));
      const bool generic = std::find(std::begin(kGeneric), std::end(kGeneric), word) != std::end(kGeneric);
      if (!generic && !is_version(word, true)) return nullptr;
      next = without_last_word(name);
      if (next.empty()) return nullptr;
    }
    name = next;
  }
}

struct Title {
  std::string_view first;  // "Slack" of "Slack - general"
  std::string_view last;   // "Visual Studio Code" of "main.cpp - Visual Studio Code"
};

// The ends of a window title, where `name` is one.
Title title_of(std::string_view name) {
  std::size_t first = name.size();
  std::size_t last = 0;
  for (const std::string_view dash : {" - ", " \xE2\x80\x93 ", " \xE2\x80\x94 ", " | "}) {
    const std::size_t left = name.find(dash);
    if (left == std::string_view::npos) continue;
    first = std::min(first, left);
    last = std::max(last, name.rfind(dash) + dash.size());
  }
  if (last == 0) return {};
  return {name.substr(0, first), name.substr(last)};
}

// Single-spaced `name` as a known app.
const std::string* recognised(std::string_view name) {
  if (const std::string* known = known_stripped(name)) return known;
  const Title title = title_of(name);
  if (const std::string* known = known_stripped(title.last)) return known;
  return known_stripped(title.first);
}

// Single-spaced, without quotation marks around it and without what stands behind every name.
std::string plain_name(std::string_view app) {
  const std::string spaced = words::single_spaced(app);
  std::string_view name = spaced;
  const auto around = [](char c) { return c == ' ' || std::string_view("\"'`*[]").find(c) != std::string_view::npos; };
  for (std::string_view before; before != name;) {
    before = name;
    while (!name.empty() && around(name.back())) name.remove_suffix(1);
    while (!name.empty() && around(name.front())) name.remove_prefix(1);
    name = without_ending(name);
  }
  return std::string(name);
}

// `word` in lower case without the ending of a plural, for comparing only.
std::string singular(std::string word) {
  const auto ends = [&](std::initializer_list<std::string_view> endings) {
    return std::any_of(endings.begin(), endings.end(), [&](std::string_view e) { return word.ends_with(e); });
  };
  if (word.size() < 4 || !word.ends_with('s') || !words::is_letter(word[word.size() - 2]) || word == "windows")
    return word;
  if (ends({"ies"})) {
    word.resize(word.size() - 3);
    return word + 'y';
  }
  if (ends({"sses", "xes", "ches", "shes"})) {
    word.resize(word.size() - 2);
    return word;
  }
  if (!ends({"ss", "us", "is", "ews", "'s"})) word.pop_back();
  return word;
}

}  // namespace

std::string app_key(std::string_view app) {
  const std::string name = plain_name(app);
  if (const std::string* known = recognised(name)) return words::compact(*known);
  return words::compact(name);
}

std::string app_name(std::string_view app) {
  std::string name = plain_name(app);
  if (const std::string* known = recognised(name)) return *known;
  return name;
}

std::string topic_key(std::string_view topic) {
  std::string key;
  std::string word;
  const auto end_word = [&] {
    if (word.empty()) return;
    if (!key.empty()) key += ' ';
    key += singular(std::move(word));
    word.clear();
  };
  for (std::size_t i = 0; i < topic.size(); ++i) {
    const char c = topic[i];
    const bool joins = c == '.' && !word.empty() && i + 1 < topic.size() && words::is_word(topic[i + 1]);
    if (words::is_word(c) || joins || ((c == '+' || c == '#') && !word.empty())) {
      word += words::lower(c);
    } else {
      end_word();
    }
  }
  end_word();
  return key;
}

}  // namespace escribano
