#include "intelligence/chat.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "intelligence/json_fields.h"

namespace escribano {
namespace {

using Json = nlohmann::json;

std::string in_one_line(std::string_view text) {
  constexpr std::size_t kMaxBytes = 400;
  std::string line;
  for (const char c : text) {
    const bool space = static_cast<unsigned char>(c) <= ' ' || c == '\x7F';
    if (!space) line += c;
    if (space && !line.empty() && line.back() != ' ') line += ' ';
    if (line.size() >= kMaxBytes) break;
  }
  if (line.ends_with(' ')) line.pop_back();
  return to_valid_utf8(line.substr(0, complete_utf8_prefix(line)));
}

}  // namespace

std::string server_message(std::string_view body) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return in_one_line(body);
  if (const Json* error = field(json, "error")) {
    if (const std::string_view message = text_field(*error, "message"); !message.empty()) return in_one_line(message);
  }
  for (const char* key : {"error", "message", "detail"}) {
    if (const std::string_view message = text_field(json, key); !message.empty()) return in_one_line(message);
  }
  return in_one_line(body);
}

bool says_context_full(std::string_view message) {
  constexpr std::array<std::string_view, 6> kSigns = {"context length", "context size",  "context_length",
                                                      "context window", "context limit", "exceed_context"};
  return std::any_of(kSigns.begin(), kSigns.end(),
                     [&](std::string_view sign) { return message.find(sign) != std::string_view::npos; });
}

}  // namespace escribano
