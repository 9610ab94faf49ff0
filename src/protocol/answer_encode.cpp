#include "protocol/answer.h"
#include "protocol/frame_result.h"
#include "protocol/json_line.h"

namespace escribano::protocol {
namespace {

using Json = nlohmann::ordered_json;

// The members behind the id.
struct ToJson {
  Json operator()(const DoneAnswer&) const { return Json::object({{"done", true}}); }
  Json operator()(const ErrorAnswer& answer) const {
    return {{"error", answer.error.message}, {"code", errc_name(answer.error.code)}, {"done", true}};
  }
  Json operator()(const TextAnswer& answer) const {
    return {
        {"text", answer.text},
        {"stats",
         {
             {"prompt_tokens", answer.prompt_tokens},
             {"generation_tokens", answer.generation_tokens},
             {"total_tokens", std::int64_t{answer.prompt_tokens} + answer.generation_tokens},
             {"prompt_tps", rounded(answer.prompt_tps)},
             {"generation_tps", rounded(answer.generation_tps)},
             {"peak_memory_gb", rounded(answer.peak_memory_gb)},
             {"generate_time_s", rounded(answer.generate_time_s)},
             {"finish_reason", answer.finish_reason},
         }},
        {"done", true},
    };
  }
  Json operator()(const PromptFitAnswer& answer) const {
    return {
        {"fits", answer.fits},
        {"prompt_tokens", answer.prompt_tokens},
        {"context_limit", answer.context_limit},
        {"requested_output_tokens", answer.requested_output_tokens},
        {"reserved_tokens", answer.reserved_tokens},
        {"safe_input_budget", answer.safe_input_budget},
        {"done", true},
    };
  }
  Json operator()(const StatusWordAnswer& answer) const { return {{"status", answer.word}, {"done", true}}; }
  Json operator()(const PongAnswer&) const { return {{"pong", true}, {"text", ""}, {"done", true}}; }
  Json operator()(const BridgeStatus& status) const {
    Json json = {
        {"schema", 1},
        {"model", status.model},
        {"mode", mode_name(status.mode)},
        {"loaded", status.loaded},
        {"pid", status.pid},
        {"uptime_s", rounded(status.uptime_s)},
        {"resident_bytes", status.resident_bytes},
        {"clients", status.clients},
        {"requests", status.requests},
        {"queued_frames", status.queued_frames},
        {"running_sequences", status.running_sequences},
    };
    json["frames"] = {{"done", status.frames_done},
                      {"unparsed", status.frames_unparsed},
                      {"failed", status.frames_failed},
                      {"reused", status.frames_reused}};
    json["tokens"] = {{"prompt", status.prompt_tokens},
                      {"generation", status.generation_tokens},
                      {"drafted", status.drafted_tokens},
                      {"accepted", status.accepted_tokens}};
    json["time"] = {{"load_s", rounded(status.load_s)},
                    {"encode_s", rounded(status.encode_s)},
                    {"prefill_s", rounded(status.prefill_s)},
                    {"decode_s", rounded(status.decode_s)}};
    json["work"] = {{"images_encoded", status.images_encoded}, {"decode_steps", status.decode_steps}};
    json["cache"] = {{"bytes", status.cache_bytes}, {"limit_bytes", status.cache_limit_bytes}};
    return {{"status", json}, {"done", true}};
  }
};

// By hand, because results are encoded already, and a batch may be large.
std::string encode_batch(const RequestId& id, const BatchAnswer& answer) {
  std::string line = fmt::format(R"({{"id":{},"batch":{},"results":[)", id, answer.batch);
  for (std::size_t i = 0; i < answer.results.size(); ++i) {
    if (i > 0) line += ',';
    line += encode(answer.results[i]);
  }
  line += fmt::format("],\"partial\":{},\"progress\":{{\"current\":{},\"total\":{}}}}}\n", answer.partial,
                      answer.progress.current, answer.progress.total);
  return line;
}

}  // namespace

std::string encode(const Answer& answer) {
  return std::visit(
      [&](const auto& body) {
        if constexpr (std::is_same_v<std::decay_t<decltype(body)>, BatchAnswer>) {
          return encode_batch(answer.id, body);
        } else {
          return line_with_id(answer.id, ToJson{}(body));
        }
      },
      answer.body);
}

std::string encode(const Announcement& announcement) {
  if (announcement.fatal) {
    const Error& error = *announcement.fatal;
    return dump({{"status", "fatal"}, {"error", error.message}, {"code", errc_name(error.code)}}) + "\n";
  }
  Json json = {{"status", "ready"}, {"model", announcement.model}, {"mode", announcement.mode}};
  if (!announcement.socket.empty()) json["socket"] = announcement.socket;
  if (announcement.pid != 0) json["pid"] = announcement.pid;
  return dump(json) + "\n";
}

}  // namespace escribano::protocol
