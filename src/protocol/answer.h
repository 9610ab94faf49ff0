#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "domain/frame_result.h"
#include "domain/intelligence_service.h"
#include "protocol/request.h"

namespace escribano::protocol {

// The frames of one batch.
struct BatchAnswer {
  std::uint64_t batch = 1;  // from 1
  std::vector<FrameResult> results;
  bool partial = true;  // false for the last batch
  Progress progress;
};
// The last line of describe_images.
struct DoneAnswer {};
// The last line of a request that failed.
struct ErrorAnswer {
  Error error;
};
// What infer requests are answered with.
struct TextAnswer {
  std::string text;
  int prompt_tokens = 0;
  int generation_tokens = 0;
  double prompt_tps = 0;  // tokens a second
  double generation_tps = 0;
  double peak_memory_gb = 0;  // 1e9 bytes, of the process
  double generate_time_s = 0;
  std::string finish_reason = "stop";  // stop, length, loop
};
struct PromptFitAnswer {
  bool fits = false;
  int prompt_tokens = 0;
  int context_limit = 0;
  int requested_output_tokens = 0;
  int reserved_tokens = 0;
  int safe_input_budget = 0;
};
// {"status": word, "done": true}: loaded, unloaded, shutting_down, in_use, cancelled.
struct StatusWordAnswer {
  std::string word;
};
struct PongAnswer {};
// What the bridge is doing.
struct BridgeStatus {
  std::string model;
  Mode mode = Mode::vlm;
  bool loaded = false;
  int clients = 0;
  int requests = 0;       // not answered yet
  int queued_frames = 0;  // without a slot yet
  int running_sequences = 0;
  std::uint64_t frames_done = 0;  // described or unparsed
  std::uint64_t frames_unparsed = 0;
  std::uint64_t frames_failed = 0;
  std::uint64_t frames_reused = 0;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t generation_tokens = 0;
  double load_s = 0;
  double encode_s = 0;
  double prefill_s = 0;
  double decode_s = 0;
  std::uint64_t decode_steps = 0;
  std::uint64_t images_encoded = 0;
  std::uint64_t cache_bytes = 0;
  std::uint64_t cache_limit_bytes = 0;
  std::uint64_t drafted_tokens = 0;
  std::uint64_t accepted_tokens = 0;
  std::uint64_t resident_bytes = 0;
  double uptime_s = 0;
  std::int64_t pid = 0;
};

struct Answer {
  RequestId id = "null";
  std::variant<BatchAnswer, DoneAnswer, ErrorAnswer, TextAnswer, PromptFitAnswer, StatusWordAnswer, PongAnswer,
               BridgeStatus>
      body;

  // Whether no further line belongs to this request.
  bool last() const noexcept { return !std::holds_alternative<BatchAnswer>(body); }
};

// The line for an answer, with its end: compact, ASCII only.
std::string encode(const Answer& answer);

// One line, without its end, of any bridge of the family. Lenient where bridges differ, strict where it matters: fails
// with protocol_error for what is no JSON object with an id, has none of the forms above, or has a value of a wrong type
// in them; with too_large beyond the limits of decode_request(). What is missing or null:
// - index is 0. Bridges of generation 1 count from 0 in each batch: a client that does not know the bridge numbers the
//   results itself, in the order in which they come.
// - timestamp 0, imagePath and description "", activity "unknown", apps and topics empty, stats as in FrameStats
// - batch 1; progress 0 of 0; partial is true unless the line is the last one
// - the code of an error is backend_error, also where it is a name we do not know. An error may be a string or an object
//   with message and code; an empty one is an error too. Only an error may lack its id, which is then null.
// One line may stand for two answers: ADR-006 draws "done" on the last batch itself; then `done` is set.
struct DecodedAnswer {
  Answer answer;
  bool done = false;  // the request ends with this line
};
Result<DecodedAnswer> decode_answer(std::string_view line);

// The one line on standard output with which a bridge says that it is ready, or why it never will be.
struct Announcement {
  std::string model;
  std::string mode;            // "vlm", "llm", or what a foreign bridge says; may be empty
  std::string socket;          // ours says where it listens
  std::optional<Error> fatal;  // the start failed; the rest is empty
  std::int64_t pid = 0;        // ours says it; otherwise 0
};
std::string encode(const Announcement& announcement);
// nullopt for a line that is neither: a foreign bridge may print anything before it is ready. A fatal line without a code
// has bridge_unavailable; other fields that are missing or of a wrong type are empty.
std::optional<Announcement> decode_announcement(std::string_view line);

}  // namespace escribano::protocol
