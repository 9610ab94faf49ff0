#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <tl/expected.hpp>

#include "base/error.h"
#include "domain/frame_result.h"
#include "domain/intelligence_service.h"

namespace escribano::protocol {

// An id as the JSON text it came as (`7`, `"seven"`, `1e400`, `null`), so that it goes back unchanged however large. Of
// strings always the ASCII-escaped form, so that equal ids are equal texts.
using RequestId = std::string;

enum class Mode { vlm, llm };
std::string_view mode_name(Mode mode) noexcept;

// Generation 1.
struct DescribeImages {
  std::vector<Frame> images;
  std::optional<int> batch_size;
  std::optional<int> max_tokens;  // of a batch
  std::string prompt;             // empty: the bridge's own
  DescribeStrategy strategy = DescribeStrategy::parallel;
  float temperature = 0;
  std::optional<std::chrono::milliseconds> deadline;

  friend bool operator==(const DescribeImages&, const DescribeImages&) = default;
};

// Generation 2.
struct ContentPart {
  enum class Kind { text, image };
  Kind kind = Kind::text;
  std::string value;  // the text, or the path of the image

  friend bool operator==(const ContentPart&, const ContentPart&) = default;
};
struct ChatMessage {
  std::string role;  // system, user, assistant
  std::vector<ContentPart> content;

  friend bool operator==(const ChatMessage&, const ChatMessage&) = default;
};
// What a model is to answer: a conversation, or (llm mode) one prompt.
struct PromptContent {
  std::vector<ChatMessage> messages;      // not empty unless raw_prompt is set
  std::optional<std::string> raw_prompt;  // llm_infer and llm_prompt_fit only

  friend bool operator==(const PromptContent&, const PromptContent&) = default;
};
// vlm_infer, text_infer, llm_infer.
struct Infer {
  enum class Method { vlm_infer, text_infer, llm_infer };
  Method method = Method::vlm_infer;
  PromptContent content;
  std::optional<int> max_tokens;
  float temperature = 0;
  bool think = false;  // llm_infer
  std::optional<std::chrono::milliseconds> deadline;

  friend bool operator==(const Infer&, const Infer&) = default;
};
// text_prompt_fit, llm_prompt_fit.
struct PromptFit {
  Mode mode = Mode::vlm;  // whose method it is
  PromptContent content;
  std::optional<int> requested_output_tokens;  // "maxTokens"
  std::optional<int> reserved_tokens;          // "reservedTokens"

  friend bool operator==(const PromptFit&, const PromptFit&) = default;
};
struct LoadLlm {
  std::string model;  // empty: the bridge's own
  friend bool operator==(const LoadLlm&, const LoadLlm&) = default;
};
struct Unload {
  Mode mode = Mode::vlm;  // unload_vlm, unload_llm
  friend bool operator==(const Unload&, const Unload&) = default;
};
struct Ping {
  friend bool operator==(const Ping&, const Ping&) = default;
};

// Ours.
struct StatusQuery {
  friend bool operator==(const StatusQuery&, const StatusQuery&) = default;
};
struct Cancel {
  RequestId request;
  friend bool operator==(const Cancel&, const Cancel&) = default;
};
struct Shutdown {
  bool only_if_unused = false;  // "ifUnused": not while another client is connected
  friend bool operator==(const Shutdown&, const Shutdown&) = default;
};

struct Request {
  RequestId id = "null";
  std::variant<DescribeImages, Infer, PromptFit, LoadLlm, Unload, Ping, StatusQuery, Cancel, Shutdown> method;

  friend bool operator==(const Request&, const Request&) = default;
};

// What a line that is no request is answered with. The id is that of the line where one could be read.
struct BadRequest {
  RequestId id = "null";
  Error error;
};

// One line, without its end, as a request. Anything may come. Fails with
// - protocol_error: not UTF-8, not JSON, not an object, or `method` is no string
// - too_large: longer than kMaxLineBytes, deeper than 64 levels, more than 2,000,000 JSON values, more than kMaxImages
// - unsupported: an unknown method
// - invalid_argument: a missing or wrong parameter, with a message that names it and what it may be; an id that is not a
//   number, a string or null, or longer than 1024 bytes (the id of the BadRequest is null then)
// Unknown fields are ignored; of a repeated key the last one counts; a parameter that is null counts as not given, and so
// does a missing `params`. Whole numbers may be written as 4.0 or 4e0. The limits are in protocol/limits.h. timestamp is
// finite, 0 where not given. Paths are any strings without NUL. rawPrompt wins over messages unless it is empty. An
// image in messages has its path as "imagePath" or "image". Linear in the line; memory stays within a small multiple.
tl::expected<Request, BadRequest> decode_request(std::string_view line);

// The line for a request, with its end: compact, ASCII only; what has its default is left out. Strings that are not
// UTF-8 get U+FFFD. decode_request() gives the same request again for all that encode_checked() accepts.
std::string encode(const Request& request);
// The same for a client that sends what others gave it. Fails with invalid_argument for what cannot cross the wire or
// would be refused by a bridge (a path that is not UTF-8, a value out of range), and with too_large for more than
// kMaxImages images or a line longer than kMaxLineBytes: split such a call.
Result<std::string> encode_checked(const Request& request);

}  // namespace escribano::protocol
