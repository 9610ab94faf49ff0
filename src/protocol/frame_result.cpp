#include "protocol/frame_result.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace escribano::protocol {
namespace {

using Json = nlohmann::ordered_json;

// Times to a microsecond: more digits are noise, and noise is bytes on the wire.
double rounded(double ms) { return std::round(ms * 1000) / 1000; }

Json to_json(const FrameStats& stats) {
  Json json = {
      {"prompt_tokens", stats.prompt_tokens},
      {"generation_tokens", stats.generation_tokens},
      {"image_tokens", stats.image_tokens},
      {"image_width_px", stats.image_width_px},
      {"image_height_px", stats.image_height_px},
      {"load_ms", rounded(stats.load_ms)},
      {"encode_ms", rounded(stats.encode_ms)},
      {"prefill_ms", rounded(stats.prefill_ms)},
      {"decode_ms", rounded(stats.decode_ms)},
      {"attempts", stats.attempts},
      {"reused", stats.reused},
  };
  // A frame that never came to an answer has no way in which it ended.
  if (stats.attempts > 0) json["finish_reason"] = stats.finish_reason;
  return json;
}

// A whole number of seconds is written without a fraction, as clients send it.
Json to_number(double value) {
  if (std::floor(value) == value && std::abs(value) < 1e15) return static_cast<std::int64_t>(value);
  return value;
}

}  // namespace

std::string encode(const FrameResult& result) {
  Json json = {
      {"index", result.index},          {"timestamp", to_number(result.timestamp_s)},
      {"imagePath", result.image_path}, {"description", result.description},
      {"activity", result.activity},    {"apps", result.apps},
      {"topics", result.topics},
  };
  if (result.raw_response) json["raw_response"] = *result.raw_response;
  if (result.error) json["error"] = {{"code", errc_name(result.error->code)}, {"message", result.error->message}};
  json["stats"] = to_json(result.stats);
  return json.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

}  // namespace escribano::protocol
