#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "protocol/json_document.h"

namespace escribano::protocol {

// Where a value stands in its line, as a chain: made for every value, written out only for a message.
struct JsonPlace {
  const JsonPlace* outer = nullptr;
  std::string_view name;
  std::optional<std::size_t> index = std::nullopt;

  std::string text() const;  // "messages[2].content[0]"
};

// The first thing that was wrong with a line, with the code that all of them get.
class JsonProblem {
 public:
  explicit JsonProblem(Errc code) : code_(code) {}

  void note(std::string message) { note(Error{code_, std::move(message)}); }
  void note(Error error) {
    if (!error_) error_ = std::move(error);
  }
  bool noted() const noexcept { return error_.has_value(); }
  const Error& error() const { return *error_; }

 private:
  Errc code_;
  std::optional<Error> error_;
};

// Reads the members of one object by name and type. A member that is missing, null, or of a wrong type or range is
// nullopt; the latter is also noted in the problem, which is looked at once at the end.
class JsonFields {
 public:
  JsonFields(JsonValue object, const JsonPlace* place, JsonProblem& problem)
      : object_(object), place_(place), problem_(&problem) {}

  // The member, whatever its type; nullopt where missing or null.
  std::optional<JsonValue> find(std::string_view key) const;

  std::optional<std::string> string(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<JsonValue> array(std::string_view key) const;
  std::optional<JsonValue> object(std::string_view key) const;
  std::optional<double> number(std::string_view key, double low, double high) const;
  std::optional<double> number(std::string_view key) const;  // finite
  std::optional<std::int64_t> whole(std::string_view key, std::int64_t low, std::int64_t high) const;

  // A count, 0 where there is none.
  template <std::integral T>
  T count(std::string_view key) const {
    constexpr auto high = std::in_range<std::int64_t>(std::numeric_limits<T>::max())
                              ? static_cast<std::int64_t>(std::numeric_limits<T>::max())
                              : std::numeric_limits<std::int64_t>::max();
    return static_cast<T>(whole(key, 0, high).value_or(0));
  }
  std::vector<std::string> strings(std::string_view key) const;

  // Notes that `key` must be `what`, and what it is.
  void wrong(std::string_view key, std::string_view what, JsonValue value) const;
  JsonProblem& problem() const noexcept { return *problem_; }
  const JsonPlace* place() const noexcept { return place_; }

 private:
  JsonValue object_;
  const JsonPlace* place_;
  JsonProblem* problem_;
};

// Text of a peer for a message: at most 60 bytes of it, without control characters.
std::string shown(std::string_view text);
// A value for a message: "\"x\"", "-1", "an array".
std::string shown(JsonValue value);

// The JSON text of an id: a number as it was written, a string ASCII-escaped, null. Nullopt for other types and for what
// is longer than 1024 bytes in that form, since it goes into every line of the answer.
std::optional<std::string> id_text(JsonValue value);

}  // namespace escribano::protocol
