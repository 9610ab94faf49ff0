#include "store/json_list.h"

#include <optional>

#include <nlohmann/json.hpp>

#include "base/utf8.h"

namespace escribano {
namespace {

using nlohmann::json;

std::string to_hex(std::string_view bytes) {
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::optional<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit(hex[i]);
    const int low = digit(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

std::optional<std::string> to_text(const json& element) {
  if (const auto* text = element.get_ptr<const std::string*>()) return *text;
  if (!element.is_object() || element.size() != 1 || !element.contains("hex")) return std::nullopt;
  const auto* hex = element.at("hex").get_ptr<const std::string*>();
  return hex == nullptr ? std::nullopt : from_hex(*hex);
}

}  // namespace

std::string to_json_list(const std::vector<std::string>& texts) {
  json list = json::array();
  for (const std::string& text : texts) {
    if (is_valid_utf8(text)) {
      list.push_back(text);
    } else {
      list.push_back(json{{"hex", to_hex(text)}});
    }
  }
  return list.dump();
}

Result<std::vector<std::string>> from_json_list(std::string_view text) {
  const json list = json::parse(text, nullptr, false);
  if (!list.is_array()) return fail(Errc::corrupt, "a list is no JSON array");
  std::vector<std::string> texts;
  texts.reserve(list.size());
  for (const json& element : list) {
    std::optional<std::string> value = to_text(element);
    if (!value) return fail(Errc::corrupt, "a list holds something that is no text");
    texts.push_back(*std::move(value));
  }
  return texts;
}

}  // namespace escribano
