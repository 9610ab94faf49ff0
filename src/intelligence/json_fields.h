#pragma once

// Fields of a JSON object that may be missing or of another type than expected. Private to this folder.

#include <algorithm>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace escribano {

// nullptr where there is no such field.
inline const nlohmann::json* field(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

// "" where there is no such text.
inline std::string_view text_field(const nlohmann::json& object, const char* key) {
  const nlohmann::json* value = field(object, key);
  const auto* text = value == nullptr ? nullptr : value->get_ptr<const std::string*>();
  return text == nullptr ? std::string_view() : std::string_view(*text);
}

// 0 where there is no such number.
inline double number_field(const nlohmann::json& object, const char* key) {
  const nlohmann::json* value = field(object, key);
  return value == nullptr || !value->is_number() ? 0 : value->get<double>();
}

inline int count_field(const nlohmann::json& object, const char* key) {
  return static_cast<int>(std::clamp(number_field(object, key), 0.0, 1e9));
}

}  // namespace escribano
