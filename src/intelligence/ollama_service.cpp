#include "intelligence/ollama_service.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "intelligence/chat.h"
#include "intelligence/json_fields.h"

namespace escribano {
namespace {

using Json = nlohmann::json;

double ms_field(const Json& object, const char* key) { return number_field(object, key) / 1e6; }  // from nanoseconds

// One JSON object a line; the last one has "done".
class OllamaReader final : public ChatReader {
 public:
  explicit OllamaReader(std::string shown) : shown_(std::move(shown)) {}

  Status feed(std::string_view bytes) override {
    return lines_.feed(bytes, [this](std::string_view line) { return take(line); });
  }

  Result<ChatAnswer> finish() override {
    ESCRIBANO_CHECK(take(lines_.rest()));
    if (!done_) return fail(Errc::protocol_error, "{}: the answer ended before it was complete", shown_);
    return std::move(answer_);
  }

 private:
  Status take(std::string_view line) {
    if (line.find_first_not_of(" \t\r") == std::string_view::npos || done_) return {};
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return fail(Errc::protocol_error, "{}: the answer is not Ollama's: not JSON", shown_);
    if (const Json* error = field(json, "error"); error != nullptr && !error->is_null()) {
      const std::string message = server_message(line);
      return fail(says_context_full(message) ? Errc::context_full : Errc::backend_error, "{}: {}", shown_, message);
    }
    const Json* message = field(json, "message");
    const Json* done = field(json, "done");
    if (message == nullptr && done == nullptr) {
      return fail(Errc::protocol_error, "{}: the answer is not Ollama's: it has no message", shown_);
    }
    if (message != nullptr) answer_.text += text_field(*message, "content");
    if (done != nullptr && done->is_boolean() && done->get<bool>()) end(json);
    return {};
  }

  void end(const Json& json) {
    done_ = true;
    answer_.prompt_tokens = count_field(json, "prompt_eval_count");
    answer_.generation_tokens = count_field(json, "eval_count");
    answer_.prefill_ms = ms_field(json, "prompt_eval_duration");
    answer_.decode_ms = ms_field(json, "eval_duration");
    if (text_field(json, "done_reason") == "length") answer_.finish_reason = "length";
  }

  std::string shown_;
  AnswerLines lines_;
  ChatAnswer answer_;
  bool done_ = false;
};

class OllamaWire final : public ChatWire {
 public:
  OllamaWire(OllamaOptions options, std::string shown) : options_(std::move(options)), shown_(std::move(shown)) {
    std::string base = options_.server.url;
    while (base.ends_with('/')) base.pop_back();
    url_ = base + (base.ends_with("/api") ? "/chat" : "/api/chat");
  }

  HttpRequest request(const ChatRequest& chat) const override {
    Json messages = Json::array();
    std::string text;
    std::size_t text_bytes = chat.text.size();
    Json last = {{"role", "user"}, {"content", chat.text}};
    for (const ChatPicture& picture : chat.pictures) {
      text_bytes += picture.label.size();
      if (picture.label.empty()) {
        last["images"].push_back(picture.image.base64);
      } else {
        messages.push_back({{"role", "user"}, {"content", picture.label}, {"images", {picture.image.base64}}});
      }
    }
    messages.push_back(std::move(last));
    Json body = {
        {"model", options_.server.model},
        {"messages", std::move(messages)},
        {"stream", true},
        // A prompt that does not fit is to be refused, not cut.
        {"truncate", false},
        {"shift", false},
        {"options",
         {{"temperature", chat.temperature},
          {"num_predict", chat.max_tokens},
          {"num_ctx", context_for(ollama_context(options_, text_bytes, chat.pictures.size(), chat.max_tokens))}}},
    };
    if (!options_.keep_alive.empty()) body["keep_alive"] = options_.keep_alive;
    if (!chat.plain && !plain_) body["think"] = chat.think;
    return {.url = url_, .body = body.dump(-1, ' ', false, Json::error_handler_t::replace)};
  }

  std::unique_ptr<ChatReader> reader() const override { return std::make_unique<OllamaReader>(shown_); }

  Error refusal(int status, std::string_view body) const override {
    const std::string message = server_message(body);
    if (status == 404) {
      return {Errc::backend_error, fmt::format("{}: {} (HTTP 404); where the model is missing: ollama pull {}", shown_,
                                               message, options_.server.model)};
    }
    return {says_context_full(message) ? Errc::context_full : Errc::backend_error,
            fmt::format("{}: HTTP {}: {}", shown_, status, message)};
  }

  void learn_plain() const override { plain_ = true; }

 private:
  // Never less than what was asked for before: a change of context makes Ollama load the model again.
  int context_for(int needed) const {
    if (options_.num_ctx > 0) return options_.num_ctx;
    int known = num_ctx_;
    while (known < needed && !num_ctx_.compare_exchange_weak(known, needed)) {
    }
    return std::max(known, needed);
  }

  const OllamaOptions options_;
  const std::string shown_;
  std::string url_;
  mutable std::atomic<bool> plain_{false};
  mutable std::atomic<int> num_ctx_{0};
};

}  // namespace

std::vector<std::string> OllamaOptions::validate() const {
  std::vector<std::string> problems = server.validate();
  if (num_ctx < 0) problems.emplace_back("the context size must not be below 0");
  if (max_num_ctx < 1) problems.emplace_back("the largest context size must be at least 1");
  if (image_tokens < 1) problems.emplace_back("the number of tokens of a picture must be at least 1");
  return problems;
}

int ollama_context(const OllamaOptions& options, std::size_t text_bytes, std::size_t pictures, int max_tokens) {
  if (options.num_ctx > 0) return options.num_ctx;
  constexpr std::uint64_t kSmallest = 2048;
  constexpr std::uint64_t kChatMarks = 32;  // around turns and pictures
  const std::uint64_t needed = text_bytes / 2 +
                               pictures * (static_cast<std::uint64_t>(options.image_tokens) + kChatMarks) + kChatMarks +
                               static_cast<std::uint64_t>(max_tokens);
  std::uint64_t rounded = kSmallest;
  while (rounded < needed) rounded *= 2;
  return static_cast<int>(std::min<std::uint64_t>(rounded, static_cast<std::uint64_t>(options.max_num_ctx)));
}

Result<std::unique_ptr<IntelligenceService>> make_ollama_service(OllamaOptions options) {
  if (const std::vector<std::string> problems = options.validate(); !problems.empty()) {
    return fail(Errc::invalid_argument, "Ollama: {}", fmt::join(problems, "; "));
  }
  ESCRIBANO_TRY(const HttpUrl url, parse_http_url(options.server.url));
  ServerOptions server = options.server;
  return make_chat_service(std::move(server), std::make_unique<OllamaWire>(std::move(options), url.shown));
}

}  // namespace escribano
