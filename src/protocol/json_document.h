#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace escribano::protocol {

enum class JsonType : std::uint8_t { null, boolean, number, string, array, object };

class JsonValue;

// A JSON text (RFC 8259) cut into values that keep the text they were written as. nlohmann's parser is not used for what
// comes from a peer because it refuses numbers beyond a double (an id may be 1e400), loses how others were written, and
// takes several times the memory. 16 bytes a value here; nothing is recursive. Refers to the text, which must outlive it.
class JsonDocument {
 public:
  static constexpr std::size_t kMaxDepth = 64;
  static constexpr std::size_t kMaxValues = 2'000'000;  // keys included

  // status() says whether `text` could be read: protocol_error for what is not UTF-8 or not JSON, too_large for what is
  // longer (kMaxLineBytes), deeper or more than the limits. A lone surrogate in a string counts as U+FFFD.
  explicit JsonDocument(std::string_view text);

  const Status& status() const noexcept { return status_; }
  // The outermost value; the beginning of it after too_large; nullopt where there is none.
  std::optional<JsonValue> root() const;

 private:
  friend class JsonValue;
  friend class JsonParser;
  struct Node {
    std::uint32_t begin = 0;  // in text_; strings without their quotes
    std::uint32_t size = 0;
    std::uint32_t next = 0;  // the node behind this value and all in it
    JsonType type = JsonType::null;
    bool escaped = false;  // a string with a backslash
  };

  std::string_view text_;
  std::vector<Node> nodes_;  // in the order of the text; a member of an object is its key and then its value
  Status status_;
};

// One value of a document, which must outlive it.
class JsonValue {
 public:
  JsonType type() const noexcept { return node().type; }
  bool is_null() const noexcept { return type() == JsonType::null; }
  // As it was written; strings without quotes and not decoded; empty for arrays and objects.
  std::string_view token() const noexcept;
  bool boolean() const noexcept { return token() == "true"; }
  // Of a string: its text, which is valid UTF-8.
  std::string string() const;
  // Of a number: infinite where it is beyond a double.
  double number() const;
  // Of a number without fraction, also written as 4.0 or 1e3; nullopt where it has one or is beyond 64 bits.
  std::optional<std::int64_t> whole() const;

  // Of an object: the last member of that name. Looks at every member.
  std::optional<JsonValue> find(std::string_view key) const;
  // Calls visit(JsonValue) for each element of an array, in order, until it returns false.
  template <class Visit>
  void each(Visit&& visit) const {
    for (std::uint32_t at = index_ + 1; at < node().next; at = document_->nodes_[at].next) {
      if (!visit(JsonValue(*document_, at))) return;
    }
  }

 private:
  friend class JsonDocument;
  JsonValue(const JsonDocument& document, std::uint32_t index) : document_(&document), index_(index) {}
  const JsonDocument::Node& node() const noexcept { return document_->nodes_[index_]; }

  const JsonDocument* document_;
  std::uint32_t index_;
};

}  // namespace escribano::protocol
