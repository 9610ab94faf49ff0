// Takes an answer of a language model apart into lines and sentences, and puts together what may stay.

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "pipeline/fact_check.h"
#include "pipeline/sentences.h"
#include "pipeline/words.h"

namespace escribano {
namespace {

constexpr std::size_t kLongestAnswer = 200'000;  // bytes; what a model writes beyond is not read

struct Line {
  enum Kind { blank, heading, item, text } kind = blank;
  std::size_t level = 0;  // of a heading
  std::string mark;       // "## ", "  - "
  std::string body;
};

// Links and pictures as their text; HTML and what is left of links as text that viewers show as it is.
std::string harmless(std::string_view line) {
  std::string plain;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '!' && i + 1 < line.size() && line[i + 1] == '[') continue;
    if (c == '[') {
      const std::size_t close = line.find(']', i);
      const char opens = close != std::string_view::npos && close + 1 < line.size() ? line[close + 1] : '\0';
      if (opens == '(' || opens == '[') {
        const std::size_t end = line.find(opens == '(' ? ')' : ']', close + 2);
        if (end != std::string_view::npos) {
          plain += line.substr(i + 1, close - i - 1);
          i = end;
          continue;
        }
      }
    }
    plain += words::is_space(c) ? ' ' : c;
  }
  // Marks that are never closed would reach into what follows.
  if (std::count(plain.begin(), plain.end(), '`') % 2 != 0) std::erase(plain, '`');
  if (std::count(plain.begin(), plain.end(), '*') % 2 != 0) std::erase(plain, '*');
  return plain;
}

// What viewers would take for HTML, a link or a mention, as text. After the check, which needs the words as they are.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      if (c == '[' || c == ']') out += '\\';
      out += c;
    }
  }
  std::string linked;
  for (const std::string_view word : words::split_at_spaces(out)) {
    if (!linked.empty()) linked += ' ';
    const std::string lower = words::lowered(word);
    const bool link = lower.find("://") != std::string::npos || lower.find("www.") != std::string::npos ||
                      lower.find('@') != std::string::npos || lower.find("javascript:") != std::string::npos;
    if (!link) {
      linked += word;
      continue;
    }
    std::string code(word);
    std::erase_if(code, [](char c) { return std::string_view("`*()\\").find(c) != std::string_view::npos; });
    linked += "`" + code + "`";
  }
  return linked;
}

bool is_rule(std::string_view text) {
  return text.size() >= 3 && text.find_first_not_of("-=*_ ") == std::string_view::npos;
}

Line line_of(std::string_view raw) {
  Line line;
  constexpr std::size_t kDeepest = 6;  // more would be code
  const std::size_t indent = std::min(std::min(raw.find_first_not_of(' '), raw.size()), kDeepest);
  std::string_view text = words::trimmed(raw);
  while (text.starts_with('>')) text = words::trimmed(text.substr(1));
  if (text.empty() || text.starts_with("```") || text.starts_with("~~~") || is_rule(text)) return line;
  const std::size_t hashes = std::min(text.find_first_not_of('#'), text.size());
  if (hashes >= 1 && hashes <= 6 && hashes < text.size() && text[hashes] == ' ') {
    line = {.kind = Line::heading,
            .level = hashes,
            .mark = std::string(hashes, '#') + " ",
            .body = harmless(words::trimmed(text.substr(hashes)))};
    return line;
  }
  std::size_t digits = 0;
  while (digits < text.size() && digits < 4 && words::is_digit(text[digits])) ++digits;
  const bool bullet = text.size() > 1 && (text[0] == '-' || text[0] == '*' || text[0] == '+') && text[1] == ' ';
  const bool numbered =
      digits > 0 && digits + 1 < text.size() && (text[digits] == '.' || text[digits] == ')') && text[digits + 1] == ' ';
  if (bullet || numbered) {
    const std::size_t mark = bullet ? 2 : digits + 2;
    line = {.kind = Line::item,
            .mark = std::string(indent, ' ') + (bullet ? "- " : std::string(text.substr(0, digits)) + ". "),
            .body = harmless(words::trimmed(text.substr(mark)))};
  } else {
    line = {.kind = Line::text, .body = harmless(text)};
  }
  if (words::bare(line.body).empty()) line.kind = Line::blank;
  return line;
}

// Up to the end of the last line that was finished, or of the last sentence where there is but one line.
std::string_view without_unfinished(std::string_view text) {
  const std::size_t line = text.rfind('\n');
  if (line != std::string_view::npos && !words::trimmed(text.substr(0, line)).empty()) return text.substr(0, line);
  const std::vector<std::string_view> all = sentences(text);
  if (all.size() < 2) return {};
  return text.substr(0, static_cast<std::size_t>(all.back().data() - text.data()));
}

class Checker {
 public:
  explicit Checker(const SaidFacts& facts) : facts_(&facts) {}

  void add(Line line) {
    if (line.kind == Line::heading) {
      // The heading of the artefact is ours.
      if (line.level == 1 && lines_.empty()) return;
      if (auto unsaid = facts_->unsaid_in(line.body, TextPlace::heading)) {
        note(*unsaid);
        return;
      }
      if (line.level == 1) {
        line.mark = "## ";
        line.level = 2;
      }
    } else if (line.kind != Line::blank) {
      line.body = kept_of(line);
      if (line.body.empty()) return;
    }
    line.body = escaped(line.body);
    lines_.push_back(std::move(line));
  }

  CheckedText result() && {
    std::string& text = out_.text;
    drop_empty_headings();
    bool blank = false;
    for (const Line& line : lines_) {
      if (line.kind == Line::blank) {
        blank = !text.empty();
        continue;
      }
      if (blank || (line.kind == Line::heading && !text.empty())) text += '\n';
      blank = line.kind == Line::heading;
      text += line.mark + line.body + '\n';
    }
    return std::move(out_);
  }

 private:
  void note(const std::string& unsaid) {
    ++out_.removed;
    if (std::find(out_.unsaid.begin(), out_.unsaid.end(), unsaid) == out_.unsaid.end()) out_.unsaid.push_back(unsaid);
  }

  std::string kept_of(const Line& line) {
    constexpr std::size_t kShort = 20;  // bytes: "None." may stand there twice
    std::string kept;
    for (const std::string_view sentence : sentences(line.body)) {
      if (const auto unsaid = facts_->unsaid_in(sentence)) {
        note(*unsaid);
      } else if (sentence.size() > kShort && !seen_.insert(words::lowered(sentence)).second) {
        ++out_.repeated;
      } else {
        ++out_.kept;
        kept += (kept.empty() ? "" : " ") + std::string(sentence);
      }
    }
    // A label whose sentences are gone says nothing.
    if (kept.size() < line.body.size() && words::bare(kept).size() + 3 >= kept.size() && kept.ends_with(":")) return {};
    return harmless(kept);
  }

  void drop_empty_headings() {
    for (std::size_t i = lines_.size(); i-- > 0;) {
      if (lines_[i].kind != Line::heading) continue;
      std::size_t next = i + 1;
      while (next < lines_.size() && lines_[next].kind == Line::blank) ++next;
      const bool ends =
          next == lines_.size() || (lines_[next].kind == Line::heading && lines_[next].level <= lines_[i].level);
      if (ends) lines_.erase(lines_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  const SaidFacts* facts_;
  std::vector<Line> lines_;
  std::unordered_set<std::string> seen_;
  CheckedText out_;
};

}  // namespace

CheckedText checked_against(const SaidFacts& facts, std::string_view answer, bool truncated) {
  if (answer.size() > kLongestAnswer) {
    answer = answer.substr(0, kLongestAnswer);
    truncated = true;
  }
  const std::string text = to_valid_utf8(answer);
  std::string_view rest = text;
  if (truncated) rest = without_unfinished(rest);
  Checker checker(facts);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    checker.add(line_of(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return std::move(checker).result();
}

}  // namespace escribano
