#include "protocol/answer.h"
#include "protocol/json_fields.h"
#include "protocol/read_frame_result.h"

namespace escribano::protocol {
namespace {

using Body = decltype(Answer::body);

// The member `key` of `fields` if it is an object: calls read(JsonFields) on it.
template <class Read>
void inside(const JsonFields& fields, std::string_view key, Read&& read) {
  if (const std::optional<JsonValue> object = fields.object(key)) {
    const JsonPlace place{.outer = fields.place(), .name = key};
    read(JsonFields(*object, &place, fields.problem()));
  }
}

BatchAnswer read_batch(const JsonFields& fields, JsonValue results, bool done) {
  BatchAnswer batch;
  JsonProblem& problem = fields.problem();
  results.each([&](JsonValue result) {
    const JsonPlace place{.name = "results", .index = batch.results.size()};
    if (result.type() == JsonType::object) {
      batch.results.push_back(read_frame_result(JsonFields(result, &place, problem)));
    } else {
      problem.note(fmt::format("{} must be an object, not {}", place.text(), shown(result)));
    }
    return !problem.noted();
  });
  batch.batch = fields.find("batch") ? fields.count<std::uint64_t>("batch") : 1;
  batch.partial = fields.boolean("partial").value_or(!done);
  inside(fields, "progress", [&](const JsonFields& progress) {
    batch.progress.current = progress.count<std::size_t>("current");
    batch.progress.total = progress.count<std::size_t>("total");
  });
  return batch;
}

TextAnswer read_text(const JsonFields& fields, std::string text) {
  TextAnswer answer;
  answer.text = std::move(text);
  inside(fields, "stats", [&](const JsonFields& stats) {
    answer.prompt_tokens = stats.count<int>("prompt_tokens");
    answer.generation_tokens = stats.count<int>("generation_tokens");
    answer.prompt_tps = stats.number("prompt_tps").value_or(0);
    answer.generation_tps = stats.number("generation_tps").value_or(0);
    answer.peak_memory_gb = stats.number("peak_memory_gb").value_or(0);
    answer.generate_time_s = stats.number("generate_time_s").value_or(0);
    if (auto reason = stats.string("finish_reason")) answer.finish_reason = *std::move(reason);
  });
  return answer;
}

PromptFitAnswer read_prompt_fit(const JsonFields& fields) {
  PromptFitAnswer answer;
  answer.fits = fields.boolean("fits").value_or(false);
  answer.prompt_tokens = fields.count<int>("prompt_tokens");
  answer.context_limit = fields.count<int>("context_limit");
  answer.requested_output_tokens = fields.count<int>("requested_output_tokens");
  answer.reserved_tokens = fields.count<int>("reserved_tokens");
  // Negative where the output alone is more than the context.
  constexpr std::int64_t low = std::numeric_limits<int>::min();
  constexpr std::int64_t high = std::numeric_limits<int>::max();
  answer.safe_input_budget = static_cast<int>(fields.whole("safe_input_budget", low, high).value_or(0));
  return answer;
}

BridgeStatus read_status(const JsonFields& fields) {
  BridgeStatus status;
  status.model = fields.string("model").value_or("");
  status.mode = fields.string("mode").value_or("") == "llm" ? Mode::llm : Mode::vlm;
  status.loaded = fields.boolean("loaded").value_or(false);
  status.pid = fields.count<std::int64_t>("pid");
  status.uptime_s = fields.number("uptime_s").value_or(0);
  status.resident_bytes = fields.count<std::uint64_t>("resident_bytes");
  status.clients = fields.count<int>("clients");
  status.requests = fields.count<int>("requests");
  status.queued_frames = fields.count<int>("queued_frames");
  status.running_sequences = fields.count<int>("running_sequences");
  inside(fields, "frames", [&](const JsonFields& frames) {
    status.frames_done = frames.count<std::uint64_t>("done");
    status.frames_unparsed = frames.count<std::uint64_t>("unparsed");
    status.frames_failed = frames.count<std::uint64_t>("failed");
    status.frames_reused = frames.count<std::uint64_t>("reused");
  });
  inside(fields, "tokens", [&](const JsonFields& tokens) {
    status.prompt_tokens = tokens.count<std::uint64_t>("prompt");
    status.generation_tokens = tokens.count<std::uint64_t>("generation");
    status.drafted_tokens = tokens.count<std::uint64_t>("drafted");
    status.accepted_tokens = tokens.count<std::uint64_t>("accepted");
  });
  inside(fields, "time", [&](const JsonFields& time) {
    status.load_s = time.number("load_s").value_or(0);
    status.encode_s = time.number("encode_s").value_or(0);
    status.prefill_s = time.number("prefill_s").value_or(0);
    status.decode_s = time.number("decode_s").value_or(0);
  });
  inside(fields, "work", [&](const JsonFields& work) {
    status.images_encoded = work.count<std::uint64_t>("images_encoded");
    status.decode_steps = work.count<std::uint64_t>("decode_steps");
  });
  inside(fields, "cache", [&](const JsonFields& cache) {
    status.cache_bytes = cache.count<std::uint64_t>("bytes");
    status.cache_limit_bytes = cache.count<std::uint64_t>("limit_bytes");
  });
  return status;
}

// By the member that only this form has; nullopt where none of them is there.
std::optional<Body> read_body(const JsonFields& fields, bool done) {
  if (std::optional<Error> error = read_error(fields)) return ErrorAnswer{*std::move(error)};
  if (const std::optional<JsonValue> results = fields.array("results")) return read_batch(fields, *results, done);
  if (fields.boolean("pong").value_or(false)) return PongAnswer{};
  if (std::optional<std::string> text = fields.string("text")) return read_text(fields, *std::move(text));
  if (fields.boolean("fits")) return read_prompt_fit(fields);
  if (const std::optional<JsonValue> status = fields.find("status")) {
    if (status->type() == JsonType::string) return StatusWordAnswer{status->string()};
    std::optional<Body> body;
    inside(fields, "status", [&](const JsonFields& members) { body = read_status(members); });
    return body;
  }
  if (done) return DoneAnswer{};
  return std::nullopt;
}

}  // namespace

Result<DecodedAnswer> decode_answer(std::string_view line) {
  const JsonDocument document(line);
  ESCRIBANO_CHECK(document.status());
  const JsonValue root = *document.root();
  if (root.type() != JsonType::object) return fail(Errc::protocol_error, "an answer must be a JSON object");
  JsonProblem problem(Errc::protocol_error);
  const JsonFields fields(root, nullptr, problem);
  const bool done = fields.boolean("done").value_or(false);
  std::optional<Body> body = read_body(fields, done);
  if (problem.noted()) return fail(problem.error());
  if (!body) return fail(Errc::protocol_error, "an answer has none of the forms that are known");

  const std::optional<JsonValue> id_value = root.find("id");
  if (!id_value && !std::holds_alternative<ErrorAnswer>(*body))
    return fail(Errc::protocol_error, "an answer has no id");
  std::optional<std::string> id = id_value ? id_text(*id_value) : std::optional<std::string>("null");
  if (!id) return fail(Errc::protocol_error, "the id of an answer must be a number or a string");
  DecodedAnswer decoded{.answer = {.id = *std::move(id), .body = *std::move(body)}};
  decoded.done = done || decoded.answer.last();
  return decoded;
}

std::optional<Announcement> decode_announcement(std::string_view line) {
  const JsonDocument document(line);
  const std::optional<JsonValue> root = document.root();
  if (!document.status() || root->type() != JsonType::object) return std::nullopt;
  JsonProblem ignored(Errc::protocol_error);
  const JsonFields fields(*root, nullptr, ignored);
  const std::string status = fields.string("status").value_or("");
  Announcement announcement;
  if (status == "fatal") {
    announcement.fatal = read_error(fields, Errc::bridge_unavailable)
                             .value_or(Error{Errc::bridge_unavailable, "the bridge gave no reason"});
    return announcement;
  }
  if (status != "ready") return std::nullopt;
  announcement.model = fields.string("model").value_or("");
  announcement.mode = fields.string("mode").value_or("");
  announcement.socket = fields.string("socket").value_or("");
  announcement.pid = fields.count<std::int64_t>("pid");
  return announcement;
}

}  // namespace escribano::protocol
