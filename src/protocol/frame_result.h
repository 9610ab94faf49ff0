#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace escribano::protocol {

// What one frame took (the names on the wire are the field names).
struct FrameStats {
  int prompt_tokens = 0;
  int generation_tokens = 0;
  int image_tokens = 0;
  int image_width_px = 0;
  int image_height_px = 0;
  double load_ms = 0;
  double encode_ms = 0;
  double prefill_ms = 0;
  double decode_ms = 0;
  std::string finish_reason = "stop";  // stop, length, loop, cancelled; left out where there was no attempt
  int attempts = 1;
  std::string reused = "none";  // none, cache, duplicate
};

// The result of one frame as bridge and `describe --json` give it.
struct FrameResult {
  std::uint64_t index = 0;
  double timestamp_s = 0;
  std::string image_path;
  std::string description;
  std::string activity = "unknown";
  std::vector<std::string> apps;
  std::vector<std::string> topics;
  std::optional<std::string> raw_response;  // only where the model's text could not be parsed
  std::optional<Error> error;               // only where the frame failed
  FrameStats stats;
};

// One JSON object without a line end: compact, ASCII-escaped, keys in the order of the protocol. Bytes that are not UTF-8
// become U+FFFD.
std::string encode(const FrameResult& result);

}  // namespace escribano::protocol
