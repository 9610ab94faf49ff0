#include "base/file.h"
#include "base/utf8.h"
#include "protocol/json_line.h"
#include "protocol/limits.h"
#include "protocol/line_framer.h"
#include "protocol/request.h"

namespace escribano::protocol {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const ContentPart& part) {
  if (part.kind == ContentPart::Kind::text) return {{"type", "text"}, {"text", part.value}};
  return {{"type", "image"}, {"imagePath", part.value}};
}

Json to_json(const ChatMessage& message) {
  Json json = Json::object({{"role", message.role}});
  if (message.content.size() == 1 && message.content.front().kind == ContentPart::Kind::text) {
    json["content"] = message.content.front().value;
    return json;
  }
  Json& parts = json["content"] = Json::array();
  for (const ContentPart& part : message.content) parts.push_back(to_json(part));
  return json;
}

void add_content(Json& params, const PromptContent& content) {
  if (content.raw_prompt) {
    params["rawPrompt"] = *content.raw_prompt;
    return;
  }
  Json& messages = params["messages"] = Json::array();
  for (const ChatMessage& message : content.messages) messages.push_back(to_json(message));
}

template <class T>
void add(Json& params, const char* key, const std::optional<T>& value) {
  if (value) params[key] = *value;
}

void add_temperature(Json& params, float temperature) {
  if (temperature != 0) params["temperature"] = to_number(temperature);
}

void add_deadline(Json& params, const std::optional<std::chrono::milliseconds>& deadline) {
  if (deadline) params["deadlineMs"] = deadline->count();
}

std::string_view name_of(Infer::Method method) {
  switch (method) {
    case Infer::Method::vlm_infer: return "vlm_infer";
    case Infer::Method::text_infer: return "text_infer";
    case Infer::Method::llm_infer: return "llm_infer";
  }
  return "";
}

struct Call {
  std::string_view method;
  Json params = Json::object();
};

// What has its default is left out, so that bridges which do not know it are asked nothing they cannot do.
struct ToCall {
  Call operator()(const DescribeImages& request) const {
    Call call{"describe_images"};
    Json& images = call.params["images"] = Json::array();
    for (const Frame& frame : request.images) {
      images.push_back({{"imagePath", frame.path.string()}, {"timestamp", to_number(frame.timestamp_s)}});
    }
    add(call.params, "batchSize", request.batch_size);
    add(call.params, "maxTokens", request.max_tokens);
    if (!request.prompt.empty()) call.params["prompt"] = request.prompt;
    if (request.strategy == DescribeStrategy::interleaved) call.params["strategy"] = "interleaved";
    add_temperature(call.params, request.temperature);
    add_deadline(call.params, request.deadline);
    return call;
  }
  Call operator()(const Infer& request) const {
    Call call{name_of(request.method)};
    add_content(call.params, request.content);
    add(call.params, "maxTokens", request.max_tokens);
    add_temperature(call.params, request.temperature);
    if (request.think) call.params["think"] = true;
    add_deadline(call.params, request.deadline);
    return call;
  }
  Call operator()(const PromptFit& request) const {
    Call call{request.mode == Mode::vlm ? "text_prompt_fit" : "llm_prompt_fit"};
    add_content(call.params, request.content);
    add(call.params, "maxTokens", request.requested_output_tokens);
    add(call.params, "reservedTokens", request.reserved_tokens);
    return call;
  }
  Call operator()(const LoadLlm& request) const {
    Call call{"load_llm"};
    if (!request.model.empty()) call.params["model"] = request.model;
    return call;
  }
  Call operator()(const Unload& request) const {
    return {request.mode == Mode::vlm ? "unload_vlm" : "unload_llm", Json::object()};
  }
  Call operator()(const Ping&) const { return {"ping", Json::object()}; }
  Call operator()(const StatusQuery&) const { return {"status", Json::object()}; }
  Call operator()(const Cancel&) const { return {"cancel", Json::object()}; }  // encode() adds the id
  Call operator()(const Shutdown& request) const {
    Call call{"shutdown"};
    if (request.only_if_unused) call.params["ifUnused"] = true;
    return call;
  }
};

Status check_path(const std::string& path, std::string_view what) {
  if (!is_valid_utf8(path)) {
    return fail(Errc::invalid_argument, "{} {} is not UTF-8, and only such names can be sent to a bridge", what,
                printable(path));
  }
  if (path.size() > kMaxPathBytes || path.find('\0') != std::string::npos) {
    return fail(Errc::invalid_argument, "{} must be at most {} bytes without a NUL", what, kMaxPathBytes);
  }
  return {};
}

Status check_text(const std::string& text, std::string_view what) {
  if (!is_valid_utf8(text)) return fail(Errc::invalid_argument, "{} is not UTF-8", what);
  return {};
}

Status check(const PromptContent& content) {
  if (content.raw_prompt) return check_text(*content.raw_prompt, "the prompt");
  for (const ChatMessage& message : content.messages) {
    for (const ContentPart& part : message.content) {
      ESCRIBANO_CHECK(part.kind == ContentPart::Kind::text ? check_text(part.value, "a message")
                                                           : check_path(part.value, "the image"));
    }
  }
  return {};
}

Status check_strings(const DescribeImages& request) {
  if (request.images.size() > kMaxImages) {
    return fail(Errc::too_large, "{} images are more than the {} that one request can have", request.images.size(),
                kMaxImages);
  }
  for (const Frame& frame : request.images) ESCRIBANO_CHECK(check_path(frame.path.string(), "the image"));
  return check_text(request.prompt, "the prompt");
}
Status check_strings(const Infer& request) { return check(request.content); }
Status check_strings(const PromptFit& request) { return check(request.content); }
Status check_strings(const LoadLlm& request) { return check_path(request.model, "the model"); }
template <class Other>
Status check_strings(const Other&) {
  return {};
}

}  // namespace

std::string encode(const Request& request) {
  if (const Cancel* cancel = std::get_if<Cancel>(&request.method)) {
    // The id is JSON text, perhaps of a number that Json cannot hold.
    return "{\"id\":" + request.id + R"(,"method":"cancel","params":{"request":)" + cancel->request + "}}\n";
  }
  const Call call = std::visit(ToCall{}, request.method);
  return line_with_id(request.id, {{"method", call.method}, {"params", call.params}});
}

Result<std::string> encode_checked(const Request& request) {
  ESCRIBANO_CHECK(std::visit([](const auto& method) { return check_strings(method); }, request.method));
  std::string line = encode(request);
  const std::string_view text = std::string_view(line).substr(0, line.size() - 1);
  if (text.size() > kMaxLineBytes) {
    return fail(Errc::too_large, "the request takes {} bytes, more than the {} that a line can have", text.size(),
                kMaxLineBytes);
  }
  // For the rest: what would a bridge read?
  auto read = decode_request(text);
  if (!read) return fail(std::move(read).error().error);
  if (*read != request) return fail(Errc::invalid_argument, "the request holds a value that JSON cannot carry");
  return line;
}

}  // namespace escribano::protocol
