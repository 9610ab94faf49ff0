#include "bridge/frames.h"

#include <algorithm>
#include <utility>

namespace escribano::bridge {
namespace {

// A prompt that was put into a chat format already opens with a mark of it.
bool is_formatted(std::string_view prompt) { return prompt.find("<|im_start|>") != std::string_view::npos; }

double per_second(int tokens, double ms) { return ms > 0 ? tokens * 1000.0 / ms : 0; }

}  // namespace

engine::DescribeRequest to_engine(const protocol::DescribeImages& request, const RequestDefaults& defaults) {
  engine::DescribeRequest out;
  out.frames.reserve(request.images.size());
  for (const Frame& frame : request.images) {
    out.frames.push_back({.path = frame.path, .image = nullptr, .timestamp_s = frame.timestamp_s});
  }
  const bool parallel = request.strategy == DescribeStrategy::parallel;
  out.strategy = parallel ? engine::Strategy::parallel : engine::Strategy::interleaved;
  out.batch_size = request.batch_size.value_or(defaults.batch_size);
  const int budget = request.max_tokens.value_or(defaults.max_tokens);
  out.max_tokens = parallel ? std::max(1, budget / out.batch_size) : budget;
  out.prompt = request.prompt;
  out.sampling.temperature = request.temperature;
  return out;
}

engine::GenerateRequest to_engine(const protocol::PromptContent& content) {
  engine::GenerateRequest out;
  if (content.raw_prompt) {
    if (is_formatted(*content.raw_prompt)) {
      out.formatted_prompt = *content.raw_prompt;
    } else {
      out.messages.push_back({"user", {*content.raw_prompt}});
    }
    return out;
  }
  for (const protocol::ChatMessage& message : content.messages) {
    engine::ChatMessage& turn = out.messages.emplace_back();
    turn.role = message.role;
    for (const protocol::ContentPart& part : message.content) {
      if (part.kind == protocol::ContentPart::Kind::text) {
        turn.parts.emplace_back(part.value);
      } else {
        turn.parts.emplace_back(engine::FrameInput{.path = part.value});
      }
    }
  }
  return out;
}

engine::GenerateRequest to_engine(const protocol::Infer& request, const RequestDefaults& defaults) {
  engine::GenerateRequest out = to_engine(request.content);
  const bool pictures = request.method == protocol::Infer::Method::vlm_infer;
  out.max_tokens = request.max_tokens.value_or(pictures ? defaults.max_tokens : defaults.text_max_tokens);
  out.sampling.temperature = request.temperature;
  out.think = request.think;
  return out;
}

FrameResult to_domain(const engine::FrameResult& result, const Frame& frame) {
  const engine::FrameStats& stats = result.stats;
  FrameResult out;
  out.index = result.index;
  out.timestamp_s = frame.timestamp_s;
  out.image_path = frame.path.native();
  out.stats = {
      .prompt_tokens = stats.prompt_tokens,
      .generation_tokens = stats.generation_tokens,
      .drafted_tokens = stats.drafted_tokens,
      .accepted_tokens = stats.accepted_tokens,
      .image_tokens = stats.image_tokens,
      .image_width_px = stats.image_width_px,
      .image_height_px = stats.image_height_px,
      .load_ms = stats.load_ms,
      .encode_ms = stats.encode_ms,
      .prefill_ms = stats.prefill_ms,
      .decode_ms = stats.decode_ms,
      .finish_reason = std::string(engine::finish_reason_name(stats.finish_reason)),
      .attempts = stats.attempts,
      .reused = std::string(engine::reuse_name(stats.reused)),
  };
  switch (result.status) {
    case engine::FrameStatus::described:
      out.description = result.description.description;
      out.activity = result.description.activity;
      out.apps = result.description.apps;
      out.topics = result.description.topics;
      break;
    case engine::FrameStatus::unparsed: out.raw_response = result.raw; break;
    case engine::FrameStatus::failed: out.error = result.error; break;
  }
  return out;
}

protocol::TextAnswer to_answer(const engine::GenerateResult& result, double peak_memory_gb) {
  const engine::GenerateStats& stats = result.stats;
  const double total_ms = stats.load_ms + stats.encode_ms + stats.prefill_ms + stats.decode_ms;
  return {
      .text = result.text,
      .prompt_tokens = stats.prompt_tokens,
      .generation_tokens = stats.generation_tokens,
      .prompt_tps = per_second(stats.prompt_tokens, stats.encode_ms + stats.prefill_ms),
      .generation_tps = per_second(stats.generation_tokens, stats.decode_ms),
      .peak_memory_gb = peak_memory_gb,
      .generate_time_s = total_ms / 1000,
      .finish_reason = std::string(engine::finish_reason_name(stats.finish_reason)),
  };
}

std::optional<protocol::BatchAnswer> BatchCollector::add(FrameResult result) {
  waiting_.push_back(std::move(result));
  ++done_;
  if (waiting_.size() < batch_size_ && done_ < total_) return std::nullopt;
  return take();
}

std::optional<protocol::BatchAnswer> BatchCollector::rest() {
  if (waiting_.empty()) return std::nullopt;
  return take();
}

protocol::BatchAnswer BatchCollector::take() {
  return {
      .batch = ++batch_,
      .results = std::exchange(waiting_, {}),
      .partial = done_ < total_,
      .progress = {.current = done_, .total = total_},
  };
}

}  // namespace escribano::bridge
