#include "protocol/json_document.h"

#include <charconv>
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "protocol/line_framer.h"

namespace escribano::protocol {

// Goes through the text once. A container that opens is put on a stack; nothing calls itself.
class JsonParser {
 public:
  explicit JsonParser(JsonDocument& document) : document_(&document), text_(document.text_) {}

  Status run() {
    ESCRIBANO_CHECK(value());
    while (!open_.empty()) ESCRIBANO_CHECK(element());
    skip_space();
    if (at_ < text_.size()) return expected("the end");
    return {};
  }

  // Makes what was read before a failure a document of its own.
  void close_all() {
    auto& nodes = document_->nodes_;
    if (key_without_value_) nodes.pop_back();
    for (const std::uint32_t index : open_) nodes[index].next = static_cast<std::uint32_t>(nodes.size());
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }
  tl::unexpected<Error> expected(std::string_view what) const {
    return fail(Errc::protocol_error, "the line is not valid JSON: expected {} at byte {}", what, at_ + 1);
  }

  Status add(JsonType type, std::size_t begin, std::size_t size, bool escaped = false) {
    auto& nodes = document_->nodes_;
    if (nodes.size() == JsonDocument::kMaxValues) {
      return fail(Errc::too_large, "the line has more than {} JSON values", JsonDocument::kMaxValues);
    }
    nodes.push_back({.begin = static_cast<std::uint32_t>(begin),
                     .size = static_cast<std::uint32_t>(size),
                     .next = static_cast<std::uint32_t>(nodes.size()) + 1,
                     .type = type,
                     .escaped = escaped});
    return {};
  }

  // The next member or element of the innermost container, or its end.
  Status element() {
    const bool object = document_->nodes_[open_.back()].type == JsonType::object;
    skip_space();
    if (take(object ? '}' : ']')) {
      document_->nodes_[open_.back()].next = static_cast<std::uint32_t>(document_->nodes_.size());
      open_.pop_back();
      fresh_ = false;
      return {};
    }
    if (!fresh_ && !take(',')) return expected(object ? "',' or '}'" : "',' or ']'");
    fresh_ = false;
    skip_space();
    if (object) {
      if (peek() != '"') return expected("a key");
      ESCRIBANO_CHECK(string());
      key_without_value_ = true;
      skip_space();
      if (!take(':')) return expected("':'");
      skip_space();
    }
    ESCRIBANO_CHECK(value());
    return {};
  }

  Status value() {
    skip_space();
    const char c = peek();
    if (c == '{') return open(JsonType::object);
    if (c == '[') return open(JsonType::array);
    Status read = c == '"' ? string() : c == '-' || (c >= '0' && c <= '9') ? number() : literal();
    if (read) key_without_value_ = false;
    return read;
  }

  Status open(JsonType type) {
    if (open_.size() == JsonDocument::kMaxDepth) {
      return fail(Errc::too_large, "the line nests JSON deeper than {} levels", JsonDocument::kMaxDepth);
    }
    ESCRIBANO_CHECK(add(type, at_, 0));
    key_without_value_ = false;
    open_.push_back(static_cast<std::uint32_t>(document_->nodes_.size() - 1));
    ++at_;
    fresh_ = true;
    return {};
  }

  Status literal() {
    for (const auto& [word, type] : {std::pair<std::string_view, JsonType>{"null", JsonType::null},
                                     {"true", JsonType::boolean},
                                     {"false", JsonType::boolean}}) {
      if (text_.substr(at_, word.size()) != word) continue;
      ESCRIBANO_CHECK(add(type, at_, word.size()));
      at_ += word.size();
      return {};
    }
    return expected("a value");
  }

  bool digits() {
    const std::size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > begin;
  }

  Status number() {
    const std::size_t begin = at_;
    take('-');
    if (!take('0') && !digits()) return expected("a digit");
    if (take('.') && !digits()) return expected("a digit");
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (!take('+')) take('-');
      if (!digits()) return expected("a digit");
    }
    return add(JsonType::number, begin, at_ - begin);
  }

  Status escape() {
    if (take('u')) {
      for (int i = 0; i < 4; ++i) {
        const char c = peek();
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
          return expected("a hexadecimal digit");
        ++at_;
      }
      return {};
    }
    if (at_ == text_.size() || std::string_view("\"\\/bfnrt").find(text_[at_]) == std::string_view::npos) {
      return expected("an escape sequence");
    }
    ++at_;
    return {};
  }

  Status string() {
    const std::size_t begin = ++at_;
    bool escaped = false;
    while (!take('"')) {
      if (at_ == text_.size()) return expected("'\"'");
      if (static_cast<unsigned char>(text_[at_]) < 0x20) return expected("no control character");
      if (text_[at_++] != '\\') continue;
      escaped = true;
      ESCRIBANO_CHECK(escape());
    }
    return add(JsonType::string, begin, at_ - 1 - begin, escaped);
  }

  JsonDocument* document_;
  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::uint32_t> open_;  // the containers that are open
  bool fresh_ = false;               // the innermost one has just been opened
  bool key_without_value_ = false;
};

JsonDocument::JsonDocument(std::string_view text) : text_(text) {
  if (text.size() > kMaxLineBytes) {
    status_ = fail(Errc::too_large, "the line is longer than {} bytes", kMaxLineBytes);
    return;
  }
  if (!is_valid_utf8(text)) {
    status_ = fail(Errc::protocol_error, "the line is not UTF-8");
    return;
  }
  JsonParser parser(*this);
  status_ = parser.run();
  if (!status_) parser.close_all();
}

std::optional<JsonValue> JsonDocument::root() const {
  if (nodes_.empty() || (!status_ && status_.error().code != Errc::too_large)) return std::nullopt;
  return JsonValue(*this, 0);
}

std::string_view JsonValue::token() const noexcept { return document_->text_.substr(node().begin, node().size); }

namespace {

void append_utf8(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
    return;
  }
  if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
  } else {
    if (c < 0x10000) {
      out += static_cast<char>(0xE0 | (c >> 12));
    } else {
      out += static_cast<char>(0xF0 | (c >> 18));
      out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    }
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
  }
  out += static_cast<char>(0x80 | (c & 0x3F));
}

// The four hexadecimal digits at `at`, which the parser has checked.
std::uint32_t code_unit(std::string_view text, std::size_t at) {
  std::uint32_t unit = 0;
  std::from_chars(text.data() + at, text.data() + at + 4, unit, 16);
  return unit;
}

// The character of the \uXXXX whose digits begin at `at`; moves `at` behind it, and behind the second half of a pair.
std::uint32_t escaped_character(std::string_view text, std::size_t& at) {
  const std::uint32_t unit = code_unit(text, at);
  at += 4;
  if (unit < 0xD800 || unit > 0xDFFF) return unit;
  if (unit < 0xDC00 && text.substr(at, 2) == "\\u") {
    const std::uint32_t low = code_unit(text, at + 2);
    if (low >= 0xDC00 && low <= 0xDFFF) {
      at += 6;
      return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }
  }
  return 0xFFFD;
}

char short_escape(char c) {
  switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return c;
  }
}

}  // namespace

std::string JsonValue::string() const {
  const std::string_view text = token();
  if (!node().escaped) return std::string(text);
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at++];
    if (c != '\\') {
      out += c;
    } else if (text[at] == 'u') {
      ++at;
      append_utf8(out, escaped_character(text, at));
    } else {
      out += short_escape(text[at++]);
    }
  }
  return out;
}

double JsonValue::number() const {
  const std::string_view text = token();
  // Neither std::from_chars (missing for double in some standard libraries) nor strtod (depends on the locale).
  const auto parsed = nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (parsed.is_number()) return parsed.get<double>();
  const double infinity = std::numeric_limits<double>::infinity();
  return text.front() == '-' ? -infinity : infinity;
}

std::optional<std::int64_t> JsonValue::whole() const {
  const std::string_view text = token();
  if (text.find_first_of(".eE") == std::string_view::npos) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() ? std::optional(value) : std::nullopt;
  }
  const double value = number();
  if (!(std::abs(value) <= 9007199254740992.0) || std::floor(value) != value) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

std::optional<JsonValue> JsonValue::find(std::string_view key) const {
  std::optional<JsonValue> found;
  if (type() != JsonType::object) return found;
  for (std::uint32_t at = index_ + 1; at < node().next; at = document_->nodes_[at + 1].next) {
    const JsonValue name(*document_, at);
    if (name.node().escaped ? name.string() == key : name.token() == key) found = JsonValue(*document_, at + 1);
  }
  return found;
}

}  // namespace escribano::protocol
