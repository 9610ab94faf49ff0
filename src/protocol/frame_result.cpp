#include "protocol/frame_result.h"

#include "protocol/json_line.h"
#include "protocol/read_frame_result.h"

namespace escribano::protocol {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const FrameStats& stats) {
  Json json = {
      {"prompt_tokens", stats.prompt_tokens},
      {"generation_tokens", stats.generation_tokens},
      {"drafted_tokens", stats.drafted_tokens},
      {"accepted_tokens", stats.accepted_tokens},
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

FrameStats read_stats(const JsonFields& fields) {
  FrameStats stats;
  stats.prompt_tokens = fields.count<int>("prompt_tokens");
  stats.generation_tokens = fields.count<int>("generation_tokens");
  stats.drafted_tokens = fields.count<int>("drafted_tokens");
  stats.accepted_tokens = fields.count<int>("accepted_tokens");
  stats.image_tokens = fields.count<int>("image_tokens");
  stats.image_width_px = fields.count<int>("image_width_px");
  stats.image_height_px = fields.count<int>("image_height_px");
  stats.load_ms = fields.number("load_ms").value_or(0);
  stats.encode_ms = fields.number("encode_ms").value_or(0);
  stats.prefill_ms = fields.number("prefill_ms").value_or(0);
  stats.decode_ms = fields.number("decode_ms").value_or(0);
  if (const auto reason = fields.string("finish_reason")) stats.finish_reason = *reason;
  if (const auto attempts = fields.whole("attempts", 0, 1000)) stats.attempts = static_cast<int>(*attempts);
  if (const auto reused = fields.string("reused")) stats.reused = *reused;
  return stats;
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
  return dump(json);
}

FrameResult read_frame_result(const JsonFields& fields) {
  FrameResult result;
  result.index = fields.count<std::uint64_t>("index");
  result.timestamp_s = fields.number("timestamp").value_or(0);
  result.image_path = fields.string("imagePath").value_or("");
  result.description = fields.string("description").value_or("");
  if (auto activity = fields.string("activity")) result.activity = *std::move(activity);
  result.apps = fields.strings("apps");
  result.topics = fields.strings("topics");
  result.raw_response = fields.string("raw_response");
  result.error = read_error(fields);
  if (const auto stats = fields.object("stats")) {
    const JsonPlace place{.outer = fields.place(), .name = "stats"};
    result.stats = read_stats(JsonFields(*stats, &place, fields.problem()));
  }
  return result;
}

std::optional<Error> read_error(const JsonFields& fields, Errc unnamed) {
  const std::optional<JsonValue> value = fields.find("error");
  if (!value) return std::nullopt;
  std::optional<std::string> message;
  std::optional<std::string> code;
  if (value->type() == JsonType::string) {
    message = value->string();
    code = fields.string("code");
  } else if (value->type() == JsonType::object) {
    const JsonPlace place{.outer = fields.place(), .name = "error"};
    const JsonFields error(*value, &place, fields.problem());
    message = error.string("message");
    code = error.string("code");
  } else {
    fields.wrong("error", "a string or an object", *value);
  }
  Error error{errc_from_name(code.value_or("")).value_or(unnamed), std::move(message).value_or("")};
  if (error.message.empty()) error.message = "the bridge gave no reason";
  return error;
}

Result<FrameResult> decode_frame_result(std::string_view json) {
  const JsonDocument document(json);
  ESCRIBANO_CHECK(document.status());
  if (document.root()->type() != JsonType::object) return fail(Errc::protocol_error, "a result must be a JSON object");
  JsonProblem problem(Errc::protocol_error);
  FrameResult result = read_frame_result(JsonFields(*document.root(), nullptr, problem));
  if (problem.noted()) return fail(problem.error());
  return result;
}

}  // namespace escribano::protocol
