#include "protocol/json_line.h"

#include <cmath>

#include <fmt/format.h>

namespace escribano::protocol {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) { return json.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace); }

std::string line_with_id(const std::string& id, const Json& body) {
  std::string line = "{\"id\":" + id;
  if (!body.empty()) line += ',';
  return line.append(dump(body), 1).append("\n");
}

Json to_number(double value) {
  if (std::floor(value) == value && std::abs(value) < 1e15) return static_cast<std::int64_t>(value);
  return value;
}

Json to_number(float value) {
  // The shortest decimal that is this float, and then the double nearest to that. What is not finite stays null.
  return Json::parse(fmt::format("{}", value), nullptr, /*allow_exceptions=*/false);
}

double rounded(double value) { return std::abs(value) < 1e12 ? std::round(value * 1000) / 1000 : value; }

}  // namespace escribano::protocol
