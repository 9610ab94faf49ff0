#include "models/json_checks.h"

#include <cmath>
#include <exception>
#include <set>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/utf8.h"

namespace escribano::models {
namespace {

using nlohmann::json;

// Watches a parse from inside nlohmann's callback, which is the only place that sees a repeated key.
class ParseGuard {
 public:
  explicit ParseGuard(int max_depth) : max_depth_(max_depth) {}

  bool operator()(int depth, json::parse_event_t event, const json& parsed) {
    if (depth >= max_depth_ &&
        (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start))
      too_deep_ = true;
    // Once the document is refused nothing more of it is kept.
    if (too_deep_ || !repeated_.empty()) return false;
    switch (event) {
      case json::parse_event_t::object_start: keys_.emplace_back(); break;
      case json::parse_event_t::object_end: keys_.pop_back(); break;
      case json::parse_event_t::key: {
        const auto& key = parsed.get_ref<const std::string&>();
        if (!keys_.back().insert(key).second) repeated_ = key;
        break;
      }
      default: break;
    }
    return true;
  }

  bool too_deep() const { return too_deep_; }
  const std::string& repeated() const { return repeated_; }

 private:
  int max_depth_;
  bool too_deep_ = false;
  std::string repeated_;
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

// Keys come from the file: shown cut, so that a message cannot be flooded.
std::string shown(std::string_view text) { return to_valid_utf8(text.substr(0, 80)); }

}  // namespace

Result<json> parse_json(std::string_view text, std::string_view what, int max_depth) {
  ParseGuard guard(max_depth);
  json document;
  try {
    document = json::parse(
        text, [&guard](int depth, json::parse_event_t event, json& parsed) { return guard(depth, event, parsed); });
  } catch (const std::exception& error) {
    return fail(Errc::corrupt, "{} is not valid JSON: {}", what, shown(error.what()));
  }
  if (guard.too_deep()) return fail(Errc::corrupt, "{} nests deeper than {} levels", what, max_depth);
  if (!guard.repeated().empty()) {
    return fail(Errc::corrupt, "{} has the key \"{}\" twice in one object", what, shown(guard.repeated()));
  }
  return document;
}

Result<json> read_json_object(const std::filesystem::path& path, std::uint64_t limit_bytes) {
  ESCRIBANO_TRY(const std::string text, read_text_file(path, limit_bytes));
  const std::string what = printable(path);
  ESCRIBANO_TRY(json document, parse_json(text, what));
  if (!document.is_object()) return fail(Errc::corrupt, "{} does not hold a JSON object", what);
  return document;
}

const json* JsonObject::find(const char* key) const {
  const auto found = value_->find(key);
  return found == value_->end() || found->is_null() ? nullptr : &*found;
}

Result<std::optional<std::uint64_t>> JsonObject::optional_uint(const char* key, std::uint64_t min,
                                                               std::uint64_t max) const {
  const json* value = find(key);
  if (value == nullptr) return std::optional<std::uint64_t>();
  if (!value->is_number_unsigned() || value->get<std::uint64_t>() < min || value->get<std::uint64_t>() > max) {
    return fail(Errc::corrupt, "{}: {} must be a whole number from {} to {}", where_, key, min, max);
  }
  return std::optional(value->get<std::uint64_t>());
}

Result<std::uint64_t> JsonObject::required_uint(const char* key, std::uint64_t min, std::uint64_t max) const {
  ESCRIBANO_TRY(const auto value, optional_uint(key, min, max));
  if (!value) return fail(Errc::corrupt, "{}: {} is missing", where_, key);
  return *value;
}

Result<std::optional<double>> JsonObject::optional_number(const char* key, double min, double max) const {
  const json* value = find(key);
  if (value == nullptr) return std::optional<double>();
  if (!value->is_number() || !(value->get<double>() >= min && value->get<double>() <= max)) {
    return fail(Errc::corrupt, "{}: {} must be a number from {} to {}", where_, key, min, max);
  }
  return std::optional(value->get<double>());
}

Result<double> JsonObject::required_number(const char* key, double min, double max) const {
  ESCRIBANO_TRY(const auto value, optional_number(key, min, max));
  if (!value) return fail(Errc::corrupt, "{}: {} is missing", where_, key);
  return *value;
}

Result<std::optional<bool>> JsonObject::optional_bool(const char* key) const {
  const json* value = find(key);
  if (value == nullptr) return std::optional<bool>();
  if (!value->is_boolean()) return fail(Errc::corrupt, "{}: {} must be true or false", where_, key);
  return std::optional(value->get<bool>());
}

Result<std::optional<std::string>> JsonObject::optional_string(const char* key) const {
  const json* value = find(key);
  if (value == nullptr) return std::optional<std::string>();
  if (!value->is_string()) return fail(Errc::corrupt, "{}: {} must be a string", where_, key);
  return std::optional(value->get<std::string>());
}

Result<std::optional<JsonObject>> JsonObject::optional_object(const char* key) const {
  const json* value = find(key);
  if (value == nullptr) return std::optional<JsonObject>();
  if (!value->is_object()) return fail(Errc::corrupt, "{}: {} must be an object", where_, key);
  return std::optional(JsonObject(*value, where_ + ": " + key));
}

Result<JsonObject> JsonObject::required_object(const char* key) const {
  ESCRIBANO_TRY(auto value, optional_object(key));
  if (!value) return fail(Errc::corrupt, "{}: {} is missing", where_, key);
  return *std::move(value);
}

}  // namespace escribano::models
