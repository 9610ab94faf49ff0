#include "pipeline/subject.h"

#include <algorithm>
#include <string>
#include <vector>

#include "pipeline/names_known.h"
#include "pipeline/words.h"

namespace escribano {
namespace {

bool any_of(std::string_view text, bool (*is)(char)) noexcept { return std::any_of(text.begin(), text.end(), is); }

// "side-by-side", "real-time": words that are joined in ordinary text.
bool is_ordinary_compound(std::string_view word) {
  constexpr std::string_view kParts[] = {
      "side",  "time",  "line",   "source", "screen", "end",   "level", "based",  "related", "like",   "by",    "up",
      "down",  "in",    "out",    "on",     "off",    "to",    "of",    "the",    "and",     "only",   "step",  "left",
      "right", "top",   "bottom", "hand",   "mail",   "non",   "self",  "well",   "multi",   "pre",    "post",  "re",
      "sub",   "cross", "long",   "short",  "high",   "low",   "full",  "half",   "two",     "three",  "four",  "new",
      "built", "user",  "read",   "write",  "word",   "color", "coded", "column", "row",     "driven", "style", "wide"};
  std::string part;
  const auto ordinary = [&] { return std::find(std::begin(kParts), std::end(kParts), part) != std::end(kParts); };
  for (const char c : word) {
    if (c == '-') {
      if (part.size() <= 1 || ordinary()) return true;
      part.clear();
    } else {
      part += words::lower(c);
    }
  }
  return part.size() <= 1 || ordinary();
}

struct Token {
  std::string_view word;
  bool ends_clause = false;  // punctuation follows
  bool begins_sentence = false;
};

std::vector<Token> tokens_of(std::string_view text) {
  std::vector<Token> tokens;
  bool begins = true;
  for (const std::string_view piece : words::split_at_spaces(text)) {
    const std::string_view word = words::bare(piece);
    if (word.empty()) continue;
    const auto behind = static_cast<std::size_t>(word.data() + word.size() - piece.data());
    const std::string_view tail = piece.substr(behind);
    tokens.push_back({word, tail.find_first_of(".,;:!?)") != std::string_view::npos, begins});
    begins = tail.find_first_of(".!?") != std::string_view::npos;
  }
  return tokens;
}

// What projects are made with; no names of projects.
constexpr std::string_view kKinds[] = {"git",    "python", "java",   "javascript", "typescript", "rust", "go",
                                       "ruby",   "swift",  "kotlin", "node",       "react",      "vue",  "angular",
                                       "django", "linux",  "maven",  "cargo",      "sql",        "the"};

template <std::size_t count>
bool is_one_of(std::string_view word, const std::string_view (&list)[count]) {
  return std::any_of(std::begin(list), std::end(list),
                     [&](std::string_view entry) { return words::equal_any_case(word, entry); });
}

bool can_be_project(const Token& token) {
  const std::string_view word = token.word;
  if (word.size() < 2 || is_file_name(word) || known_app(words::compact(word)) != nullptr) return false;
  if (is_identifier(word)) return true;
  // A name without marks is told from an ordinary word by its capital, and from a language by a list.
  return words::is_upper(word.front()) && !token.begins_sentence && !is_one_of(word, kKinds);
}

// "the escribano repository": a word that stands where a name is expected, unless it is one of those that tell kinds of
// projects.
bool is_plain_name(const Token& token) {
  constexpr std::string_view kOrdinary[] = {
      "current",  "same",      "whole",   "entire", "new",    "old",      "other",    "another", "open",    "opened",
      "local",    "remote",    "main",    "first",  "second", "next",     "last",     "web",     "mobile",  "source",
      "software", "code",      "git",     "github", "gitlab", "test",     "demo",     "sample",  "example", "private",
      "public",   "shared",    "project", "team",   "design", "research", "this",     "their",   "user",    "users",
      "app",      "following", "right",   "left",   "big",    "small",    "upstream", "forked"};
  const std::string_view word = token.word;
  return !token.ends_clause && word.size() > 2 && std::all_of(word.begin(), word.end(), words::is_lower) &&
         !is_one_of(word, kOrdinary) && !is_one_of(word, kKinds);
}

}  // namespace

bool is_file_name(std::string_view word) noexcept {
  const std::size_t dot = word.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return word.find('/') != std::string_view::npos;
  const std::string_view extension = word.substr(dot + 1);
  return !extension.empty() && extension.size() <= 5 && any_of(extension, words::is_letter) &&
         std::all_of(extension.begin(), extension.end(), words::is_word) && any_of(word.substr(0, dot), words::is_word);
}

bool is_identifier(std::string_view word) noexcept {
  const std::string_view core = words::bare(word);
  if (core.size() < 2 || !any_of(core, words::is_letter)) return false;
  if (word.front() == '#' || any_of(core, words::is_digit)) return true;
  if (core.find_first_of("_./\\@:") != std::string_view::npos) {
    const bool abbreviation = words::equal_any_case(core, "e.g") || words::equal_any_case(core, "i.e") ||
                              words::equal_any_case(core, "and/or");
    return !abbreviation;
  }
  for (std::size_t i = 1; i < core.size(); ++i) {
    if (words::is_upper(core[i]) && words::is_lower(core[i - 1])) return true;
  }
  return core.find('-') != std::string_view::npos && !is_ordinary_compound(core);
}

std::string_view project_in(std::string_view description) {
  constexpr std::string_view kSure[] = {"project", "repository", "repo", "codebase"};
  constexpr std::string_view kLikely[] = {"database", "workspace", "team",  "folder", "service",
                                          "package",  "module",    "crate", "app"};
  constexpr std::string_view kBefore[] = {"in", "of", "for", "on"};
  const std::vector<Token> tokens = tokens_of(description);
  const auto before = [&](std::size_t i) {
    return i > 0 && !tokens[i - 1].ends_clause && can_be_project(tokens[i - 1]) ? tokens[i - 1].word
                                                                                : std::string_view();
  };
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (!is_one_of(tokens[i].word, kSure)) continue;
    if (const std::string_view name = before(i); !name.empty()) return name;
    if (i > 1 && words::equal_any_case(tokens[i - 2].word, "the") && is_plain_name(tokens[i - 1]))
      return tokens[i - 1].word;
    std::size_t next = i + 1;
    if (next < tokens.size() && is_one_of(tokens[next].word, {"named", "called"})) ++next;
    const bool joined = next < tokens.size() && !tokens[next - 1].ends_clause;
    if (joined && is_identifier(tokens[next].word) && can_be_project(tokens[next])) return tokens[next].word;
  }
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (!is_one_of(tokens[i].word, kLikely)) continue;
    if (const std::string_view name = before(i); !name.empty() && is_identifier(name)) return name;
  }
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    const std::string_view word = tokens[i].word;
    const bool joined = word.find('-') != std::string_view::npos && is_identifier(word) && can_be_project(tokens[i]);
    if (joined && is_one_of(tokens[i - 1].word, kBefore)) return word;
  }
  return {};
}

}  // namespace escribano
