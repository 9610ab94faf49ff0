#include "protocol/json_fields.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "base/utf8.h"

namespace escribano::protocol {
namespace {

constexpr std::size_t kShownBytes = 60;
constexpr std::size_t kMaxIdBytes = 1024;

}  // namespace

std::string JsonPlace::text() const {
  std::string text = outer != nullptr ? outer->text() : std::string();
  if (!name.empty()) {
    if (!text.empty()) text += '.';
    text += name;
  }
  if (index) text += fmt::format("[{}]", *index);
  return text;
}

std::optional<JsonValue> JsonFields::find(std::string_view key) const {
  const std::optional<JsonValue> value = object_.find(key);
  return value && !value->is_null() ? value : std::nullopt;
}

void JsonFields::wrong(std::string_view key, std::string_view what, JsonValue value) const {
  if (problem_->noted()) return;
  problem_->note(fmt::format("{} must be {}, not {}", JsonPlace{place_, key}.text(), what, shown(value)));
}

std::optional<std::string> JsonFields::string(std::string_view key) const {
  const std::optional<JsonValue> value = find(key);
  if (!value) return std::nullopt;
  if (value->type() == JsonType::string) return value->string();
  wrong(key, "a string", *value);
  return std::nullopt;
}

std::optional<bool> JsonFields::boolean(std::string_view key) const {
  const std::optional<JsonValue> value = find(key);
  if (!value) return std::nullopt;
  if (value->type() == JsonType::boolean) return value->boolean();
  wrong(key, "true or false", *value);
  return std::nullopt;
}

std::optional<JsonValue> JsonFields::array(std::string_view key) const {
  const std::optional<JsonValue> value = find(key);
  if (!value || value->type() == JsonType::array) return value;
  wrong(key, "an array", *value);
  return std::nullopt;
}

std::optional<JsonValue> JsonFields::object(std::string_view key) const {
  const std::optional<JsonValue> value = find(key);
  if (!value || value->type() == JsonType::object) return value;
  wrong(key, "an object", *value);
  return std::nullopt;
}

std::optional<double> JsonFields::number(std::string_view key, double low, double high) const {
  const std::optional<JsonValue> value = find(key);
  if (!value) return std::nullopt;
  if (value->type() == JsonType::number) {
    const double number = value->number();
    if (number >= low && number <= high) return number;
  }
  wrong(key, fmt::format("a number from {} to {}", low, high), *value);
  return std::nullopt;
}

std::optional<double> JsonFields::number(std::string_view key) const {
  const std::optional<JsonValue> value = find(key);
  if (!value) return std::nullopt;
  if (value->type() == JsonType::number) {
    const double number = value->number();
    if (std::isfinite(number)) return number;
  }
  wrong(key, "a finite number", *value);
  return std::nullopt;
}

std::optional<std::int64_t> JsonFields::whole(std::string_view key, std::int64_t low, std::int64_t high) const {
  const std::optional<JsonValue> value = find(key);
  if (!value) return std::nullopt;
  if (value->type() == JsonType::number) {
    const std::optional<std::int64_t> whole = value->whole();
    if (whole && *whole >= low && *whole <= high) return whole;
  }
  if (!problem_->noted()) wrong(key, fmt::format("a whole number from {} to {}", low, high), *value);
  return std::nullopt;
}

std::vector<std::string> JsonFields::strings(std::string_view key) const {
  std::vector<std::string> strings;
  const std::optional<JsonValue> list = array(key);
  if (!list) return strings;
  list->each([&](JsonValue item) {
    if (item.type() != JsonType::string) {
      wrong(key, "an array of strings", *list);
      return false;
    }
    strings.push_back(item.string());
    return true;
  });
  return strings;
}

std::string shown(std::string_view text) {
  const bool cut = text.size() > kShownBytes;
  std::string out(text.substr(0, kShownBytes));
  if (cut) out.resize(complete_utf8_prefix(out));
  out = to_valid_utf8(out);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return cut ? out + "..." : out;
}

std::string shown(JsonValue value) {
  switch (value.type()) {
    case JsonType::array: return "an array";
    case JsonType::object: return "an object";
    case JsonType::string: return "\"" + shown(value.string()) + "\"";
    default: return shown(value.token());
  }
}

std::optional<std::string> id_text(JsonValue value) {
  if (value.type() != JsonType::null && value.type() != JsonType::number && value.type() != JsonType::string) {
    return std::nullopt;
  }
  if (value.token().size() > kMaxIdBytes) return std::nullopt;
  if (value.type() != JsonType::string) return std::string(value.token());
  std::string text = nlohmann::json(value.string()).dump(-1, ' ', /*ensure_ascii=*/true);
  return text.size() <= kMaxIdBytes ? std::optional(std::move(text)) : std::nullopt;
}

}  // namespace escribano::protocol
