#pragma once

// Reading JSON that nobody vouches for. Internal to models/: no public header includes this file.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace escribano::models {

// Parses `text`; `what` names it in messages. Fails with corrupt where it is not JSON, nests deeper than `max_depth`
// (the recursion of whoever walks it is bounded by that), or repeats a key inside one object (which value counts would
// depend on the reader).
Result<nlohmann::json> parse_json(std::string_view text, std::string_view what, int max_depth = 32);

// The same for a file of at most `limit_bytes`, whose top level must be an object.
Result<nlohmann::json> read_json_object(const std::filesystem::path& path, std::uint64_t limit_bytes);

// One object of a document and the words that lead to it ("config.json: text_config"), so that every message names the
// exact place. Refers to the document, which must outlive it.
class JsonObject {
 public:
  // `value` must be an object.
  JsonObject(const nlohmann::json& value, std::string where) : value_(&value), where_(std::move(where)) {}

  const std::string& where() const { return where_; }
  // The member, or null where it is missing or JSON null.
  const nlohmann::json* find(const char* key) const;

  // Each required_* fails with corrupt where the member is missing, has another type, or lies outside [min, max]; the
  // optional ones accept its absence.
  Result<std::uint64_t> required_uint(const char* key, std::uint64_t min, std::uint64_t max) const;
  Result<std::optional<std::uint64_t>> optional_uint(const char* key, std::uint64_t min, std::uint64_t max) const;
  Result<double> required_number(const char* key, double min, double max) const;
  Result<std::optional<double>> optional_number(const char* key, double min, double max) const;
  Result<std::optional<bool>> optional_bool(const char* key) const;
  Result<std::optional<std::string>> optional_string(const char* key) const;
  Result<JsonObject> required_object(const char* key) const;
  Result<std::optional<JsonObject>> optional_object(const char* key) const;

 private:
  const nlohmann::json* value_;
  std::string where_;
};

}  // namespace escribano::models
