#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace escribano {

// One picture of a recording.
struct Frame {
  std::filesystem::path path;
  double timestamp_s = 0;  // in the recording

  friend bool operator==(const Frame&, const Frame&) = default;
};

// What one frame took (the names on the wire are the field names). Zero where the backend does not say.
struct FrameStats {
  int prompt_tokens = 0;
  int generation_tokens = 0;
  int drafted_tokens = 0;   // from the texts of other frames, checked by the model
  int accepted_tokens = 0;  // those that it would have chosen; they are among generation_tokens
  int image_tokens = 0;
  int image_width_px = 0;  // as the model saw it
  int image_height_px = 0;
  double load_ms = 0;
  double encode_ms = 0;
  double prefill_ms = 0;
  double decode_ms = 0;
  std::string finish_reason = "stop";  // stop, length, loop, cancelled; means nothing where attempts is 0
  int attempts = 1;                    // 0: the frame never came to an answer
  std::string reused = "none";         // none, cache, patches, duplicate

  friend bool operator==(const FrameStats&, const FrameStats&) = default;
};

enum class FrameStatus {
  described,  // the four fields hold the answer
  unparsed,   // the model answered, `raw_response` holds it, but it has not the form asked for
  failed,     // `error` says why there is no answer
};

// What came of one frame. Exactly one of the three: fields, raw_response, error.
struct FrameResult {
  std::uint64_t index = 0;  // in the request, from 0
  double timestamp_s = 0;
  std::string image_path;
  std::string description;
  std::string activity = "unknown";
  std::vector<std::string> apps;
  std::vector<std::string> topics;
  std::optional<std::string> raw_response;  // only where the model's text could not be parsed
  std::optional<Error> error;               // only where the frame failed
  FrameStats stats;

  FrameStatus status() const noexcept {
    if (error) return FrameStatus::failed;
    return raw_response ? FrameStatus::unparsed : FrameStatus::described;
  }

  friend bool operator==(const FrameResult&, const FrameResult&) = default;
};

}  // namespace escribano
