#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "engine/core/prompt.h"
#include "engine/engine.h"

namespace escribano::engine {
namespace {

void check_budget(int max_tokens, std::vector<std::string>& problems) {
  if (max_tokens >= 1 && max_tokens <= 1'000'000) return;
  problems.push_back(fmt::format("the token budget is {}; it must be 1 to 1000000", max_tokens));
}

void check_sampling(const Sampling& sampling, std::vector<std::string>& problems) {
  if (sampling.temperature >= 0 && sampling.temperature <= 10) return;
  problems.push_back(fmt::format("the temperature is {}; it must be 0 to 10", sampling.temperature));
}

}  // namespace

std::vector<std::string> DescribeRequest::validate() const {
  std::vector<std::string> problems;
  if (frames.empty()) problems.emplace_back("there are no frames to describe");
  if (batch_size < 1 || batch_size > 1024) {
    problems.push_back(fmt::format("the batch size is {}; it must be 1 to 1024", batch_size));
  }
  check_budget(max_tokens, problems);
  if (std::any_of(frames.begin(), frames.end(), [](const FrameInput& f) { return !std::isfinite(f.timestamp_s); })) {
    problems.emplace_back("a timestamp is not a finite number");
  }
  check_sampling(sampling, problems);
  return problems;
}

std::vector<std::string> GenerateRequest::validate() const {
  std::vector<std::string> problems;
  if (messages.empty() == formatted_prompt.empty()) {
    problems.emplace_back(messages.empty()
                              ? "there is no message to answer"
                              : "there are messages and a formatted prompt; only one of them can be answered");
  }
  for (const ChatMessage& message : messages) {
    if (is_chat_role(message.role)) continue;
    problems.push_back(
        fmt::format("the role of a message is \"{}\"; it must be system, user or assistant", message.role));
  }
  check_budget(max_tokens, problems);
  check_sampling(sampling, problems);
  return problems;
}

std::string_view finish_reason_name(FinishReason reason) noexcept {
  switch (reason) {
    case FinishReason::stop: return "stop";
    case FinishReason::length: return "length";
    case FinishReason::loop: return "loop";
    case FinishReason::cancelled: return "cancelled";
  }
  return "stop";
}

std::string_view reuse_name(Reuse reuse) noexcept {
  switch (reuse) {
    case Reuse::none: return "none";
    case Reuse::cache: return "cache";
    case Reuse::patches: return "patches";
    case Reuse::duplicate: return "duplicate";
  }
  return "none";
}

}  // namespace escribano::engine
