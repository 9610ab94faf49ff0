#include "format/lists.h"

#include <algorithm>

#include "format/chars.h"
#include "format/clean.h"
#include "format/keys.h"

namespace escribano::form {
namespace {

bool is_quote(char c) noexcept { return c == '"' || c == '\'' || c == '`'; }

// The place of the mark that ends the quotation begun at `open`, where that mark is the next of its kind, on the same
// line, with no bracket before it, and the item ends behind it. Anything else is an apostrophe or a slip. Each mark is
// looked at from one opening only, so that a whole list costs no more than its length.
std::size_t closing_quote(std::string_view text, std::size_t open) noexcept {
  for (std::size_t at = open + 1; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '[' || c == ']' || c == '\n') break;
    if (c != text[open]) continue;
    const std::size_t next = text.find_first_not_of(' ', at + 1);
    const bool ends = next == std::string_view::npos || text[next] == ',' || text[next] == ']' || text[next] == '\n';
    return ends ? at : std::string_view::npos;
  }
  return std::string_view::npos;
}

// Goes through list text and says of every byte whether it is plain: not inside a quoted item.
class ListScanner {
 public:
  ListScanner(std::string_view text, std::size_t at) : text_(text), at_(at) {}

  bool done() const noexcept { return at_ >= text_.size(); }
  std::size_t at() const noexcept { return at_; }
  char current() const noexcept { return text_[at_]; }
  // To the next plain byte; a quoted item is passed over as a whole.
  void next() noexcept {
    const char c = current();
    if (item_begins_ && is_quote(c)) {
      const std::size_t close = closing_quote(text_, at_);
      if (close != std::string_view::npos) at_ = close;
    }
    item_begins_ = c == ',' || c == '[' || (item_begins_ && (c == ' ' || c == '\n'));
    ++at_;
  }

 private:
  std::string_view text_;
  std::size_t at_;
  bool item_begins_ = true;
};

int depth_change(char c) noexcept {
  if (c == '(' || c == '[') return 1;
  if (c == ')' || c == ']') return -1;
  return 0;
}

bool brackets_balance(std::string_view body) noexcept {
  std::ptrdiff_t depth = 0;
  for (ListScanner scan(body, 0); !scan.done(); scan.next()) {
    depth += depth_change(scan.current());
    if (depth < 0) return false;
  }
  return depth == 0;
}

// A bracket or quotation mark at either end that has no other half in the item. A lone apostrophe at its end is a plural.
std::string_view without_strays(std::string_view item) noexcept {
  if (item.find('[') == std::string_view::npos) item = item.substr(0, item.find_last_not_of(" ]") + 1);
  if (item.find(']') == std::string_view::npos) item.remove_prefix(std::min(item.find_first_not_of(" ["), item.size()));
  for (const char mark : {'"', '`', '\''}) {
    const std::size_t first = item.find(mark);
    if (first == std::string_view::npos) continue;
    const std::size_t behind = std::min(item.find_first_not_of(mark, first), item.size());
    if (item.rfind(mark) >= behind) continue;
    if (first == 0) {
      item.remove_prefix(behind);
    } else if (behind == item.size() && mark != '\'') {
      item.remove_suffix(behind - first);
    }
  }
  return trimmed(item);
}

void add_item(std::vector<std::string>& items, std::string_view text) {
  const std::string_view item = unwrapped(without_strays(unwrapped(text)));
  if (has_word(item)) items.push_back(on_one_line(item));
}

void add_items(std::vector<std::string>& items, std::string_view body) {
  const bool nested = brackets_balance(body);
  std::ptrdiff_t depth = 0;
  std::size_t begin = 0;
  for (ListScanner scan(body, 0); !scan.done(); scan.next()) {
    if (nested) depth += depth_change(scan.current());
    if (scan.current() != ',' || depth > 0) continue;
    add_item(items, body.substr(begin, scan.at() - begin));
    begin = scan.at() + 1;
  }
  add_item(items, body.substr(begin));
}

std::string_view first_line(std::string_view text) noexcept { return trimmed(text.substr(0, text.find('\n'))); }

ListValue read_bracketed(std::string_view text, std::size_t open, bool to_the_end) {
  ListValue value;
  std::ptrdiff_t depth = 0;
  ListScanner scan(text, open);
  for (; !scan.done(); scan.next()) {
    const char c = scan.current();
    if (c == '[') ++depth;
    if (c == ']' && --depth == 0) {
      add_items(value.items.emplace(), text.substr(open + 1, scan.at() - open - 1));
      value.end = scan.at() + 1;
      value.closed = true;
      return value;
    }
    if ((c == '|' || c == '\n') && key_at(text, scan.at() + 1)) break;
  }
  // Never closed. What the model wrote on the line is the list, unless the text simply stops.
  value.end = scan.done() ? text.size() : scan.at();
  std::string_view body = text.substr(open + 1, value.end - open - 1);
  const std::string_view line = first_line(body);
  const bool goes_on = line.empty() || line.ends_with(',');
  if (scan.done() && to_the_end && (goes_on || body.find('\n') == std::string_view::npos)) return value;
  if (!goes_on) body = line;
  const std::size_t last = body.find_last_not_of(" \n|.;");
  add_items(value.items.emplace(), last == std::string_view::npos ? std::string_view() : body.substr(0, last + 1));
  return value;
}

bool is_bullet(std::string_view line) noexcept { return skip_marks(line, 0) > 0 && !line.starts_with("**"); }

// Without separators and the full stop at its end, and without other brackets than [] around it.
std::string_view bare_list(std::string_view line) noexcept {
  const std::size_t last = line.find_last_not_of(" |.,;*`");
  if (last == std::string_view::npos) return {};
  line = line.substr(0, last + 1);
  const bool round = line.starts_with('(') && line.ends_with(')');
  const bool curly = line.starts_with('{') && line.ends_with('}');
  return round || curly ? line.substr(1, line.size() - 2) : line;
}

bool means_nothing(std::string_view line) noexcept {
  const auto is = [&](std::string_view word) { return line.size() == word.size() && starts_with_any_case(line, word); };
  return is("none") || is("n/a");
}

ListValue read_bare(std::string_view text, std::size_t from, bool to_the_end) {
  const std::optional<Key> key = next_key(text, from);
  ListValue value;
  value.end = key ? key->begin : text.size();
  std::string_view rest = text.substr(from, value.end - from);
  if (!key && to_the_end && trimmed(rest).empty() && rest.find('\n') == std::string_view::npos) return value;
  std::vector<std::string>& items = value.items.emplace();

  const std::string_view same_line = bare_list(first_line(rest));
  if (!same_line.empty()) {
    if (!means_nothing(same_line)) add_items(items, same_line);
    return value;
  }
  bool bullets = false;
  while (!rest.empty()) {
    const std::string_view line = first_line(rest);
    const std::size_t line_break = rest.find('\n');
    rest = line_break == std::string_view::npos ? std::string_view() : rest.substr(line_break + 1);
    if (line.empty()) continue;
    if (!is_bullet(line)) {
      if (!bullets) add_items(items, bare_list(line));
      break;
    }
    bullets = true;
    add_items(items, bare_list(line.substr(skip_marks(line, 0))));
  }
  return value;
}

}  // namespace

ListValue read_list(std::string_view text, std::size_t from, bool to_the_end) {
  std::size_t at = from;
  while (at < text.size() && (text[at] == ' ' || (text[at] == '\n' && !key_at(text, at + 1)))) ++at;
  while (at < text.size() && is_decoration(text[at])) ++at;
  if (at < text.size() && text[at] == '[') return read_bracketed(text, at, to_the_end);
  return read_bare(text, from, to_the_end);
}

}  // namespace escribano::form
