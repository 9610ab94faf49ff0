#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace escribano::protocol {

// Compact, ASCII only; bytes that are not UTF-8 become U+FFFD.
std::string dump(const nlohmann::ordered_json& json);

// {"id":id,...members of `body`...} and the end of the line. The id is JSON text and goes in as it is.
std::string line_with_id(const std::string& id, const nlohmann::ordered_json& body);

// A whole number is written without a fraction, as clients send it.
nlohmann::ordered_json to_number(double value);
// 0.3, not the 0.30000001192092896 that the nearest float is.
nlohmann::ordered_json to_number(float value);
// To a thousandth: more digits of a measured time are noise, and noise is bytes on the wire.
double rounded(double value);

}  // namespace escribano::protocol
