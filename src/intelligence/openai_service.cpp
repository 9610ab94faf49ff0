#include "intelligence/openai_service.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "intelligence/chat.h"
#include "intelligence/json_fields.h"

namespace escribano {
namespace {

using Json = nlohmann::json;

// What may be shown of what a server said: some repeat the key they were given.
std::string without_key(std::string text, const std::string& key) {
  if (key.empty()) return text;
  for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at))
    text.replace(at, key.size(), "***");
  return text;
}

// The server behind the adapter, as the reader and the wire show it.
struct Shown {
  std::string url;
  std::string api_key;

  Error error(std::string_view body, std::string_view status) const {
    const std::string message = without_key(server_message(body), api_key);
    return {says_context_full(message) || says_context_full(body) ? Errc::context_full : Errc::backend_error,
            fmt::format("{}: {}{}", url, status, message)};
  }
};

const Json& first_choice(const Json& json) {
  static const Json none;
  const Json* choices = field(json, "choices");
  return choices == nullptr || !choices->is_array() || choices->empty() ? none : choices->front();
}

// Server-sent events with a piece of the answer each, or one JSON object from a server that does not stream.
class OpenAiReader final : public ChatReader {
 public:
  explicit OpenAiReader(const Shown& shown) : shown_(shown) {}

  Status feed(std::string_view bytes) override {
    if (form_ == Form::unknown) {
      const std::size_t begin = bytes.find_first_not_of(" \t\r\n");
      if (begin == std::string_view::npos) return {};
      form_ = bytes[begin] == '{' ? Form::whole : Form::events;
    }
    if (form_ == Form::whole) {
      whole_ += bytes;
      return {};
    }
    return lines_.feed(bytes, [this](std::string_view line) { return take_line(line); });
  }

  Result<ChatAnswer> finish() override {
    if (form_ == Form::whole) {
      ESCRIBANO_CHECK(take(whole_, "message"));
    } else {
      ESCRIBANO_CHECK(take_line(lines_.rest()));
    }
    if (!done_) return fail(Errc::protocol_error, "{}: the answer ended before it was complete", shown_.url);
    return std::move(answer_);
  }

 private:
  enum class Form { unknown, events, whole };

  Status take_line(std::string_view line) {
    constexpr std::string_view kData = "data:";
    if (!line.starts_with(kData)) {
      const bool known = line.empty() || line.starts_with(':') || line.starts_with("event:") ||
                         line.starts_with("id:") || line.starts_with("retry:");
      if (known) return {};
      return fail(Errc::protocol_error, "{}: the answer is no stream of events", shown_.url);
    }
    line.remove_prefix(kData.size());
    if (line.starts_with(' ')) line.remove_prefix(1);
    if (line == "[DONE]") {
      done_ = true;
      return {};
    }
    return take(line, "delta");
  }

  // `part`: where a choice has the text.
  Status take(std::string_view text, const char* part) {
    const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return fail(Errc::protocol_error, "{}: the answer is not JSON", shown_.url);
    if (const Json* error = field(json, "error"); error != nullptr && !error->is_null()) {
      return fail(shown_.error(text, ""));
    }
    if (field(json, "choices") == nullptr) {
      return fail(Errc::protocol_error, "{}: the answer is no chat completion", shown_.url);
    }
    const Json& choice = first_choice(json);
    if (const Json* message = field(choice, part)) answer_.text += text_field(*message, "content");
    if (const std::string_view reason = text_field(choice, "finish_reason"); !reason.empty()) {
      done_ = true;
      if (reason == "length") answer_.finish_reason = "length";
    }
    if (const Json* usage = field(json, "usage"); usage != nullptr && usage->is_object()) {
      answer_.prompt_tokens = count_field(*usage, "prompt_tokens");
      answer_.generation_tokens = count_field(*usage, "completion_tokens");
    }
    if (const Json* timings = field(json, "timings"); timings != nullptr) {  // llama-server
      answer_.prefill_ms = number_field(*timings, "prompt_ms");
      answer_.decode_ms = number_field(*timings, "predicted_ms");
    }
    return {};
  }

  Shown shown_;
  Form form_ = Form::unknown;
  AnswerLines lines_;
  std::string whole_;
  ChatAnswer answer_;
  bool done_ = false;
};

// Whether the address ends with the version of the interface, as in /v1.
bool names_version(std::string_view base) {
  const std::size_t slash = base.rfind('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view last = base.substr(slash + 1);
  return last.size() > 1 && last.front() == 'v' &&
         std::all_of(last.begin() + 1, last.end(), [](char c) { return c >= '0' && c <= '9'; });
}

class OpenAiWire final : public ChatWire {
 public:
  OpenAiWire(OpenAiOptions options, std::string shown)
      : options_(std::move(options)), shown_{std::move(shown), options_.api_key} {
    url_ = openai_base_url(options_.server.url) + "/chat/completions";
  }

  HttpRequest request(const ChatRequest& chat) const override {
    Json content = chat.text;
    if (!chat.pictures.empty()) {
      content = Json::array();
      for (const ChatPicture& picture : chat.pictures) {
        if (!picture.label.empty()) content.push_back({{"type", "text"}, {"text", picture.label}});
        const std::string url = "data:" + picture.image.mime_type + ";base64," + picture.image.base64;
        content.push_back({{"type", "image_url"}, {"image_url", {{"url", url}}}});
      }
      content.push_back({{"type", "text"}, {"text", chat.text}});
    }
    Json message = {{"role", "user"}, {"content", std::move(content)}};
    Json body = {{"model", options_.server.model},
                 {"messages", Json::array({std::move(message)})},
                 {"max_tokens", chat.max_tokens},
                 {"temperature", chat.temperature},
                 {"stream", true}};
    if (!chat.plain && !plain_) {
      body["stream_options"] = {{"include_usage", true}};
      body["chat_template_kwargs"] = {{"enable_thinking", chat.think}};
    }
    return {.url = url_,
            .body = body.dump(-1, ' ', false, Json::error_handler_t::replace),
            .bearer_token = options_.api_key};
  }

  std::unique_ptr<ChatReader> reader() const override { return std::make_unique<OpenAiReader>(shown_); }

  Error refusal(int status, std::string_view body) const override {
    return shown_.error(body, fmt::format("HTTP {}: ", status));
  }

  void learn_plain() const override { plain_ = true; }

 private:
  const OpenAiOptions options_;
  const Shown shown_;
  std::string url_;
  mutable std::atomic<bool> plain_{false};
};

}  // namespace

std::string openai_base_url(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return names_version(url) ? url : url + "/v1";
}

std::vector<std::string> OpenAiOptions::validate() const {
  std::vector<std::string> problems = server.validate();
  if (api_key.find_first_of("\r\n") != std::string::npos) problems.emplace_back("the API key has a line break in it");
  return problems;
}

Result<std::unique_ptr<IntelligenceService>> make_openai_service(OpenAiOptions options) {
  if (const std::vector<std::string> problems = options.validate(); !problems.empty()) {
    return fail(Errc::invalid_argument, "OpenAI-compatible server: {}", fmt::join(problems, "; "));
  }
  ESCRIBANO_TRY(const HttpUrl url, parse_http_url(options.server.url));
  ServerOptions server = options.server;
  return make_chat_service(std::move(server), std::make_unique<OpenAiWire>(std::move(options), url.shown));
}

}  // namespace escribano
