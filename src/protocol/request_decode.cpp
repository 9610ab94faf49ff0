#include <array>
#include <functional>
#include <utility>

#include "protocol/json_fields.h"
#include "protocol/limits.h"
#include "protocol/request.h"

namespace escribano::protocol {
namespace {

using Method = decltype(Request::method);

// A path can hold anything but the byte that ends it for the operating system.
std::optional<std::string> path(const JsonFields& fields, std::string_view key) {
  std::optional<std::string> path = fields.string(key);
  if (path && (path->size() > kMaxPathBytes || path->find('\0') != std::string::npos)) {
    const std::string name = JsonPlace{fields.place(), key}.text();
    fields.problem().note(fmt::format("{} must be at most {} bytes without a NUL", name, kMaxPathBytes));
  }
  return path;
}

std::optional<int> whole(const JsonFields& fields, std::string_view key, int low, int high) {
  const std::optional<std::int64_t> value = fields.whole(key, low, high);
  return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

float temperature(const JsonFields& params) {
  return static_cast<float>(params.number("temperature", 0, kMaxTemperature).value_or(0));
}

std::optional<std::chrono::milliseconds> deadline(const JsonFields& params) {
  const std::optional<std::int64_t> ms = params.whole("deadlineMs", 1, kMaxDeadlineMs);
  return ms ? std::optional(std::chrono::milliseconds(*ms)) : std::nullopt;
}

Frame read_frame(JsonValue value, std::size_t index, JsonProblem& problem) {
  Frame frame;
  const JsonPlace place{.name = "images", .index = index};
  if (value.type() != JsonType::object) {
    problem.note(fmt::format("{} must be an object with an imagePath, not {}", place.text(), shown(value)));
    return frame;
  }
  const JsonFields fields(value, &place, problem);
  std::optional<std::string> image_path = path(fields, "imagePath");
  if (!image_path) {
    problem.note(place.text() + ".imagePath is missing; it must be a string");
    return frame;
  }
  frame.path = std::move(*image_path);
  frame.timestamp_s = fields.number("timestamp").value_or(0);
  return frame;
}

Method read_describe_images(const JsonFields& params) {
  DescribeImages request;
  JsonProblem& problem = params.problem();
  if (const std::optional<JsonValue> images = params.array("images")) {
    images->each([&](JsonValue image) {
      if (request.images.size() == kMaxImages) {
        problem.note(Error{Errc::too_large, fmt::format("images has more than {} entries", kMaxImages)});
      } else {
        request.images.push_back(read_frame(image, request.images.size(), problem));
      }
      return !problem.noted();
    });
  }
  if (request.images.empty()) problem.note("describe_images needs at least one image");
  request.batch_size = whole(params, "batchSize", 1, kMaxBatchSize);
  request.max_tokens = whole(params, "maxTokens", 1, kMaxTokens);
  request.prompt = params.string("prompt").value_or("");
  if (const std::optional<JsonValue> strategy = params.find("strategy")) {
    const std::string name = strategy->type() == JsonType::string ? strategy->string() : "";
    if (name == "interleaved") {
      request.strategy = DescribeStrategy::interleaved;
    } else if (name != "parallel") {
      params.wrong("strategy", "\"parallel\" or \"interleaved\"", *strategy);
    }
  }
  request.temperature = temperature(params);
  request.deadline = deadline(params);
  return request;
}

ContentPart read_part(JsonValue value, const JsonPlace& place, bool images, JsonProblem& problem) {
  ContentPart part;
  if (value.type() != JsonType::object) {
    problem.note(fmt::format("{} must be an object with a type, not {}", place.text(), shown(value)));
    return part;
  }
  const JsonFields fields(value, &place, problem);
  const std::string type = fields.string("type").value_or("");
  std::optional<std::string> content;
  if (type == "text") {
    content = fields.string("text");
  } else if (type == "image") {
    part.kind = ContentPart::Kind::image;
    content = path(fields, "imagePath");
    if (!content) content = path(fields, "image");
    if (!images) problem.note(place.text() + " is an image, and this method takes text only");
  } else {
    problem.note(place.text() + R"(.type must be "text" or "image")");
  }
  if (!content) {
    problem.note(fmt::format("{}.{} is missing; it must be a string", place.text(),
                             part.kind == ContentPart::Kind::text ? "text" : "imagePath"));
  }
  part.value = std::move(content).value_or("");
  return part;
}

ChatMessage read_message(JsonValue value, const JsonPlace& place, bool images, JsonProblem& problem) {
  ChatMessage message;
  if (value.type() != JsonType::object) {
    problem.note(fmt::format("{} must be an object with a role and content, not {}", place.text(), shown(value)));
    return message;
  }
  const JsonFields fields(value, &place, problem);
  message.role = fields.string("role").value_or("");
  if (message.role != "system" && message.role != "user" && message.role != "assistant") {
    problem.note(place.text() + R"(.role must be "system", "user" or "assistant")");
  }
  const std::optional<JsonValue> content = fields.find("content");
  if (content && content->type() == JsonType::string) {
    message.content.push_back({ContentPart::Kind::text, content->string()});
  } else if (content && content->type() == JsonType::array) {
    content->each([&](JsonValue part) {
      const JsonPlace part_place{.outer = &place, .name = "content", .index = message.content.size()};
      message.content.push_back(read_part(part, part_place, images, problem));
      return !problem.noted();
    });
  } else {
    problem.note(place.text() + ".content must be a string or an array of parts");
  }
  return message;
}

// `raw` and `images`: whether the method takes a raw prompt, and images in messages.
PromptContent read_content(const JsonFields& params, bool raw, bool images) {
  PromptContent content;
  JsonProblem& problem = params.problem();
  if (raw) {
    content.raw_prompt = params.string("rawPrompt");
    // Other bridges of the family take the raw prompt where a client sends both, and the messages where it is empty.
    if (content.raw_prompt && !(content.raw_prompt->empty() && params.find("messages"))) return content;
    content.raw_prompt.reset();
  }
  if (const std::optional<JsonValue> messages = params.array("messages")) {
    messages->each([&](JsonValue message) {
      const JsonPlace place{.name = "messages", .index = content.messages.size()};
      content.messages.push_back(read_message(message, place, images, problem));
      return !problem.noted();
    });
  }
  if (content.messages.empty()) problem.note(raw ? "rawPrompt or messages is needed" : "messages is missing or empty");
  return content;
}

Method read_infer(const JsonFields& params, Infer::Method method) {
  const bool llm = method == Infer::Method::llm_infer;
  return Infer{
      .method = method,
      .content = read_content(params, /*raw=*/llm, /*images=*/method == Infer::Method::vlm_infer),
      .max_tokens = whole(params, "maxTokens", 1, kMaxTokens),
      .temperature = temperature(params),
      .think = llm && params.boolean("think").value_or(false),
      .deadline = deadline(params),
  };
}

Method read_prompt_fit(const JsonFields& params, Mode mode) {
  return PromptFit{
      .mode = mode,
      .content = read_content(params, /*raw=*/mode == Mode::llm, /*images=*/false),
      .requested_output_tokens = whole(params, "maxTokens", 1, kMaxTokens),
      .reserved_tokens = whole(params, "reservedTokens", 0, kMaxTokens),
  };
}

Method read_cancel(const JsonFields& params) {
  const std::optional<JsonValue> request = params.find("request");
  std::optional<std::string> id = request ? id_text(*request) : std::nullopt;
  if (!id) params.problem().note("request must be the id of a request: a number or a string");
  return Cancel{std::move(id).value_or("null")};
}

struct NamedMethod {
  std::string_view name;
  Method (*read)(const JsonFields& params);
};

constexpr std::array kMethods = {
    NamedMethod{"describe_images", read_describe_images},
    NamedMethod{"vlm_infer", [](const JsonFields& p) { return read_infer(p, Infer::Method::vlm_infer); }},
    NamedMethod{"text_infer", [](const JsonFields& p) { return read_infer(p, Infer::Method::text_infer); }},
    NamedMethod{"llm_infer", [](const JsonFields& p) { return read_infer(p, Infer::Method::llm_infer); }},
    NamedMethod{"text_prompt_fit", [](const JsonFields& p) { return read_prompt_fit(p, Mode::vlm); }},
    NamedMethod{"llm_prompt_fit", [](const JsonFields& p) { return read_prompt_fit(p, Mode::llm); }},
    NamedMethod{"load_llm", [](const JsonFields& p) -> Method { return LoadLlm{path(p, "model").value_or("")}; }},
    NamedMethod{"unload_vlm", [](const JsonFields&) -> Method { return Unload{Mode::vlm}; }},
    NamedMethod{"unload_llm", [](const JsonFields&) -> Method { return Unload{Mode::llm}; }},
    NamedMethod{"ping", [](const JsonFields&) -> Method { return Ping{}; }},
    NamedMethod{"status", [](const JsonFields&) -> Method { return StatusQuery{}; }},
    NamedMethod{"cancel", read_cancel},
    NamedMethod{"shutdown",
                [](const JsonFields& p) -> Method { return Shutdown{p.boolean("ifUnused").value_or(false)}; }},
};

Result<Method> read_method(JsonValue line) {
  const std::optional<JsonValue> name = line.find("method");
  if (!name || name->type() != JsonType::string) return fail(Errc::protocol_error, "method must be a string");
  const std::string method = name->string();
  for (const NamedMethod& known : kMethods) {
    if (known.name != method) continue;
    JsonProblem problem(Errc::invalid_argument);
    const JsonFields fields(line, nullptr, problem);
    // An empty object stands for parameters that are missing.
    const JsonDocument none("{}");
    const std::optional<JsonValue> params = fields.object("params");
    Method read = known.read(JsonFields(params ? *params : *none.root(), nullptr, problem));
    if (problem.noted()) return fail(problem.error());
    return read;
  }
  return fail(Errc::unsupported, "unknown method '{}'", shown(method));
}

}  // namespace

std::string_view mode_name(Mode mode) noexcept { return mode == Mode::vlm ? "vlm" : "llm"; }

tl::expected<Request, BadRequest> decode_request(std::string_view line) {
  const auto bad = [](std::string id, Error error) {
    return tl::unexpected<BadRequest>(BadRequest{std::move(id), std::move(error)});
  };
  const JsonDocument document(line);
  const std::optional<JsonValue> root = document.root();
  const std::optional<JsonValue> id_value = root ? root->find("id") : std::nullopt;
  const std::optional<std::string> id = id_value ? id_text(*id_value) : std::optional<std::string>("null");
  if (!document.status()) return bad(id.value_or("null"), document.status().error());
  if (root->type() != JsonType::object) return bad("null", {Errc::protocol_error, "a request must be a JSON object"});
  if (!id)
    return bad("null", {Errc::invalid_argument, "id must be a number, a string or null, at most 1024 bytes long"});
  Result<Method> method = read_method(*root);
  if (!method) return bad(*id, std::move(method).error());
  return Request{*id, *std::move(method)};
}

}  // namespace escribano::protocol
