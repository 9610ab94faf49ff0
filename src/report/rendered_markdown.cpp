#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "report/html_parts.h"

namespace escribano::report {
namespace {

constexpr std::string_view kSpaces = " \t";

std::string_view trimmed(std::string_view text) {
  const std::size_t from = text.find_first_not_of(kSpaces);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(kSpaces) - from + 1);
}

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) >= 0x80;
}

// Bold, italic and code of one text. A mark that is not closed is shown; so that many of them cost no more than the text is long,
// each kind is given up where it was once not found.
class Inline {
 public:
  explicit Inline(std::string_view text) : text_(text) {}

  std::string html() {
    std::string out;
    std::vector<std::string_view> open;  // marks, innermost last
    for (std::size_t i = 0; i < text_.size();) {
      const char c = text_[i];
      if (c == '\\' && i + 1 < text_.size() && std::ispunct(static_cast<unsigned char>(text_[i + 1])) != 0) {
        append_escaped(text_.substr(i + 1, 1), out);
        i += 2;
      } else if (const std::size_t code_end = c == '`' ? end_of_code(i) : 0; code_end != 0) {
        out += "<code>";
        append_escaped(text_.substr(i + 1, code_end - i - 1), out);
        out += "</code>";
        i = code_end + 1;
      } else if (const std::string_view mark = mark_at(i); !mark.empty()) {
        if (!open.empty() && open.back() == mark && closes(i, mark.size())) {
          out += mark.size() == 2 ? "</strong>" : "</em>";
          open.pop_back();
        } else if (std::find(open.begin(), open.end(), mark) == open.end() && opens(i, mark.size()) &&
                   is_closed(mark, i)) {
          out += mark.size() == 2 ? "<strong>" : "<em>";
          open.push_back(mark);
        } else {
          append_escaped(mark, out);
        }
        i += mark.size();
      } else {
        append_escaped(text_.substr(i, 1), out);
        ++i;
      }
    }
    for (; !open.empty(); open.pop_back()) out += open.back().size() == 2 ? "</strong>" : "</em>";
    return out;
  }

 private:
  std::string_view mark_at(std::size_t i) const {
    for (const std::string_view mark : {"**", "__", "*", "_"}) {
      if (text_.substr(i, mark.size()) == mark) return text_.substr(i, mark.size());
    }
    return {};
  }
  bool opens(std::size_t i, std::size_t size) const {
    const bool before = i == 0 || text_[i] == '*' || !is_word(text_[i - 1]);
    return before && i + size < text_.size() && kSpaces.find(text_[i + size]) == std::string_view::npos;
  }
  bool closes(std::size_t i, std::size_t size) const {
    const bool after = i + size >= text_.size() || text_[i] == '*' || !is_word(text_[i + size]);
    return after && i > 0 && kSpaces.find(text_[i - 1]) == std::string_view::npos;
  }
  // Whether a mark behind the one at `i` can close it.
  bool is_closed(std::string_view mark, std::size_t i) {
    std::size_t& known_end =
        mark[0] == '*' ? (mark.size() == 2 ? stars2_ : stars1_) : (mark.size() == 2 ? lines2_ : lines1_);
    if (known_end != 0 && known_end > i + mark.size()) return known_end != std::string_view::npos;
    for (std::size_t k = text_.find(mark, i + mark.size()); k != std::string_view::npos;
         k = text_.find(mark, k + mark.size())) {
      if (mark_at(k) != mark) {
        ++k;  // "**" where a "*" is looked for
      } else if (closes(k, mark.size())) {
        known_end = k;
        return true;
      }
    }
    known_end = std::string_view::npos;
    return false;
  }
  std::size_t end_of_code(std::size_t i) {
    if (no_code_) return 0;
    const std::size_t end = text_.find('`', i + 1);
    no_code_ = end == std::string_view::npos;
    return no_code_ || end == i + 1 ? 0 : end;
  }

  std::string_view text_;
  std::size_t stars1_ = 0;
  std::size_t stars2_ = 0;
  std::size_t lines1_ = 0;
  std::size_t lines2_ = 0;
  bool no_code_ = false;
};

std::string inline_html(std::string_view text) { return Inline(text).html(); }

// A list item's mark: how far it is indented, whether the list is numbered, where its text begins.
struct Item {
  std::size_t indent = 0;
  bool numbered = false;
  std::string_view text;
};

std::optional<Item> item_of(std::string_view line) {
  const std::size_t indent = std::min(line.find_first_not_of(kSpaces), line.size());
  const std::string_view rest = line.substr(indent);
  std::size_t digits = 0;
  while (digits < rest.size() && digits < 9 && rest[digits] >= '0' && rest[digits] <= '9') ++digits;
  const bool numbered = digits > 0 && digits < rest.size() && (rest[digits] == '.' || rest[digits] == ')');
  const bool plain = !rest.empty() && (rest[0] == '-' || rest[0] == '*' || rest[0] == '+');
  if (!numbered && !plain) return std::nullopt;
  const std::size_t mark = numbered ? digits + 1 : 1;
  if (mark < rest.size() && kSpaces.find(rest[mark]) == std::string_view::npos) return std::nullopt;
  return Item{indent, numbered, trimmed(rest.substr(std::min(mark, rest.size())))};
}

std::size_t heading_level(std::string_view line) {
  const std::size_t level = std::min(line.find_first_not_of('#'), line.size());
  return level >= 1 && level <= 6 && level < line.size() && line[level] == ' ' ? level : 0;
}

bool is_rule(std::string_view line) {
  std::size_t marks = 0;
  for (const char c : line) {
    if (c != line[0] && c != ' ') return false;
    marks += c == line[0] ? 1U : 0U;
  }
  return marks >= 3 && (line[0] == '-' || line[0] == '*' || line[0] == '_');
}

std::vector<std::string_view> cells_of(std::string_view line) {
  line = trimmed(line);
  if (line.starts_with('|')) line.remove_prefix(1);
  if (line.ends_with('|') && !line.ends_with("\\|")) line.remove_suffix(1);
  std::vector<std::string_view> cells;
  std::size_t from = 0;
  for (std::size_t i = 0; i <= line.size(); ++i) {
    if (i < line.size() && (line[i] != '|' || (i > 0 && line[i - 1] == '\\'))) continue;
    cells.push_back(trimmed(line.substr(from, i - from)));
    from = i + 1;
  }
  return cells;
}

bool is_delimiter_row(std::string_view line) {
  return line.find('-') != std::string_view::npos && line.find('|') != std::string_view::npos &&
         line.find_first_not_of("|-: \t") == std::string_view::npos;
}

// Reads line by line; what a line means depends on the blocks that are open only.
class Renderer {
 public:
  std::string html(std::string_view markdown) {
    std::vector<std::string_view> lines;
    while (!markdown.empty()) {
      const std::size_t end = std::min(markdown.find('\n'), markdown.size());
      lines.push_back(markdown.substr(0, end));
      markdown.remove_prefix(std::min(end + 1, markdown.size()));
    }
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const std::string_view line = trimmed(lines[i]);
      if (line.starts_with("```")) {
        close_all();
        out_ += "<pre><code>";
        for (++i; i < lines.size() && !trimmed(lines[i]).starts_with("```"); ++i) {
          append_escaped(lines[i], out_);
          out_ += '\n';
        }
        out_ += "</code></pre>";
      } else if (line.find('|') != std::string_view::npos && i + 1 < lines.size() && is_delimiter_row(lines[i + 1])) {
        i = add_table(lines, i);
      } else {
        add_line(lines[i], line);
      }
    }
    close_all();
    return std::move(out_);
  }

 private:
  void add_line(std::string_view line, std::string_view content) {
    if (content.empty()) {
      end_text();
      return;
    }
    if (const std::size_t level = heading_level(content); level != 0) {
      close_all();
      const std::size_t shown_level = std::min<std::size_t>(level + 2, 6);
      out_ += fmt::format("<h{0}>{1}</h{0}>", shown_level, inline_html(trimmed(content.substr(level))));
    } else if (is_rule(content)) {
      close_all();
      out_ += "<hr>";
    } else if (const auto item = item_of(line)) {
      add_item(*item);
    } else if (content.starts_with('>')) {
      if (!quote_) {
        close_all();
        out_ += "<blockquote>";
        quote_ = true;
      }
      add_text(trimmed(content.substr(1)));
    } else {
      // Text at the margin after an empty line ends lists and quotes; without one it goes on with them.
      if (text_.empty() && (quote_ || line.substr(0, 1).find_first_of(kSpaces) == std::string_view::npos)) close_all();
      add_text(content);
    }
  }

  void add_text(std::string_view content) {
    if (!text_.empty()) text_ += ' ';
    text_ += content;
  }

  void add_item(const Item& item) {
    end_text();
    if (quote_) close_all();
    while (!lists_.empty() && (item.indent < lists_.back().indent ||
                               (item.indent < lists_.back().indent + 2 && item.numbered != lists_.back().numbered))) {
      close_list();
    }
    constexpr std::size_t kDepth = 8;
    if (lists_.empty() || (item.indent >= lists_.back().indent + 2 && lists_.size() < kDepth)) {
      out_ += item.numbered ? "<ol><li>" : "<ul><li>";
      lists_.push_back(item);
    } else {
      out_ += "</li><li>";
    }
    text_ = item.text;
    in_item_ = true;
  }

  std::size_t add_table(const std::vector<std::string_view>& lines, std::size_t i) {
    close_all();
    const std::vector<std::string_view> head = cells_of(lines[i]);
    out_ += "<div class=\"wide\"><table><thead><tr>";
    for (const std::string_view cell : head) out_ += "<th>" + inline_html(cell) + "</th>";
    out_ += "</tr></thead><tbody>";
    for (i += 2; i < lines.size() && lines[i].find('|') != std::string_view::npos; ++i) {
      out_ += "<tr>";
      std::vector<std::string_view> cells = cells_of(lines[i]);
      cells.resize(std::min(cells.size(), head.size()));
      for (const std::string_view cell : cells) out_ += "<td>" + inline_html(cell) + "</td>";
      out_ += "</tr>";
    }
    out_ += "</tbody></table></div>";
    return i - 1;
  }

  void end_text() {
    if (!text_.empty()) out_ += in_item_ ? inline_html(text_) : "<p>" + inline_html(text_) + "</p>";
    text_.clear();
    in_item_ = false;
  }
  void close_list() {
    out_ += lists_.back().numbered ? "</li></ol>" : "</li></ul>";
    lists_.pop_back();
  }
  void close_all() {
    end_text();
    while (!lists_.empty()) close_list();
    if (quote_) out_ += "</blockquote>";
    quote_ = false;
  }

  std::string out_;
  std::string text_;      // of the open paragraph or item
  bool in_item_ = false;  // `text_` belongs to the innermost list's last item
  bool quote_ = false;
  std::vector<Item> lists_;  // innermost last
};

}  // namespace

std::string rendered_markdown(std::string_view markdown) { return Renderer().html(markdown); }

}  // namespace escribano::report
