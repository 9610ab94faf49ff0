#include "intelligence/bridge_client.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "base/file.h"
#include "base/utf8.h"
#include "format/thought.h"
#include "intelligence/bridge_connection.h"
#include "intelligence/bridge_keeper.h"
#include "intelligence/call_limits.h"
#include "intelligence/frame_delivery.h"
#include "intelligence/frame_question.h"
#include "protocol/limits.h"

namespace escribano {
namespace {

using protocol::DecodedAnswer;
using protocol::Mode;

enum class Generation {
  describing = 1,  // ADR-006: describe_images
  conversing = 2,  // vlm_infer, text_infer, llm_infer
};

// Whether a bridge says that it does not know what it was asked for. Bridges of others have no codes, only words.
bool is_unknown_method(const Error& error) {
  std::string text = error.message;
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (text.find("method") == std::string::npos) return false;
  if (error.code == Errc::unsupported) return true;
  constexpr std::string_view kWords[] = {"unknown", "unsupported", "not supported", "not found", "invalid", "no such"};
  return error.code == Errc::backend_error && std::any_of(std::begin(kWords), std::end(kWords), [&](auto word) {
           return text.find(word) != std::string::npos;
         });
}

// Whether a failed question about some frames leaves the others a chance.
bool fails_alone(const Error& error) {
  switch (error.code) {
    case Errc::invalid_argument:
    case Errc::not_found:
    case Errc::not_permitted:
    case Errc::io_error:
    case Errc::corrupt:
    case Errc::too_large:
    case Errc::context_full:
    case Errc::inference_failed:
    case Errc::unparsed:
    case Errc::backend_error: return true;
    case Errc::unsupported: return !is_unknown_method(error);
    default: return false;
  }
}

std::optional<std::chrono::milliseconds> wire_deadline(const CallLimits& limits) {
  constexpr std::chrono::milliseconds kLongest{protocol::kMaxDeadlineMs};
  const auto left = limits.left();
  return left ? std::optional(std::min(*left, kLongest)) : std::nullopt;
}

Status check_options(const std::vector<std::string>& problems) {
  if (problems.empty()) return {};
  return fail(Errc::invalid_argument, "{}", fmt::join(problems, "; "));
}

// Whether a result is that of the frame at `position` of a request (`in_batch` of its line). A peer that mixes frames up
// must not go unnoticed: its texts would be believed. Bridges count from 0 in the request or in each batch; one that does
// not count at all (then the index is 0) has to name the file.
bool belongs(const FrameResult& result, const SentFrame& frame, std::size_t position, std::size_t in_batch) {
  if (result.index == position || result.index == in_batch || (result.index == 0 && !result.image_path.empty()))
    return result.image_path.empty() || result.image_path == frame.frame.path.native();
  return false;
}

class BridgeClient final : public IntelligenceService {
 public:
  explicit BridgeClient(BridgeClientOptions options) : options_(options), keeper_(std::move(options)) {}

  DescribeOutcome describe_images(std::span<const Frame> images, const DescribeOptions& options,
                                  const OnImageProcessed& on_image_processed) override {
    DescribeOutcome outcome;
    outcome.status = describe(images, options, on_image_processed, outcome.results);
    return outcome;
  }

  Result<GeneratedText> generate_text(std::string_view prompt, const GenerateOptions& options) override;

 private:
  // What is known about the bridge that was met last.
  struct Known {
    BridgeIdentity bridge;
    Generation generation = Generation::describing;
    bool llm_loaded = false;
    bool model_checked = false;
  };

  Status describe(std::span<const Frame> images, const DescribeOptions& options,
                  const OnImageProcessed& on_image_processed, std::vector<FrameResult>& results);
  Status describe_by(JoinedBridge& bridge, const DescribeOptions& options, FrameDelivery& delivery,
                     const CallLimits& limits);
  static Status ask_generation(Generation generation, BridgeConnection& connection, const DescribeOptions& options,
                               FrameDelivery& delivery, const CallLimits& limits);
  static Status read_batches(BridgeConnection& connection, std::span<const SentFrame> frames, FrameDelivery& delivery,
                             const CallLimits& limits);
  Result<protocol::TextAnswer> generate_by(JoinedBridge& bridge, std::string_view prompt,
                                           const GenerateOptions& options, const CallLimits& limits);
  Status load_llm(JoinedBridge& bridge, const CallLimits& limits);
  Status check_model(JoinedBridge& bridge, const CallLimits& limits);

  // Calls work(bridge) with a bridge, a second time where the first was about to end, as one that someone else started
  // may do at any time.
  template <class Work>
  auto with_bridge(const CallLimits& limits, const Work& work) -> decltype(work(std::declval<JoinedBridge&>()));

  Known known(const BridgeIdentity& bridge);
  template <class Change>
  void learn(const BridgeIdentity& bridge, const Change& change);

  const BridgeClientOptions options_;
  BridgeKeeper keeper_;  // synchronises itself
  std::mutex mutex_;
  Known known_;  // guarded by mutex_
};

BridgeClient::Known BridgeClient::known(const BridgeIdentity& bridge) {
  const std::lock_guard lock(mutex_);
  if (known_.bridge != bridge) known_ = {.bridge = bridge};
  return known_;
}

template <class Change>
void BridgeClient::learn(const BridgeIdentity& bridge, const Change& change) {
  const std::lock_guard lock(mutex_);
  if (known_.bridge == bridge) change(known_);
}

template <class Work>
auto BridgeClient::with_bridge(const CallLimits& limits, const Work& work)
    -> decltype(work(std::declval<JoinedBridge&>())) {
  for (bool again = false;; again = true) {
    ESCRIBANO_TRY(JoinedBridge bridge, keeper_.join(limits));
    auto result = work(bridge);
    if (result) {
      keeper_.worked();
      return result;
    }
    if (result.error().code != Errc::bridge_died) return result;
    const bool may_be_gone = bridge.started_pid == -1 && !bridge.connection.heard();
    if (may_be_gone && !again) continue;
    return fail(keeper_.died(bridge.started_pid, std::move(result).error()));
  }
}

Status BridgeClient::describe(std::span<const Frame> images, const DescribeOptions& options,
                              const OnImageProcessed& on_image_processed, std::vector<FrameResult>& results) {
  ESCRIBANO_CHECK(check_options(options.validate()));
  if (images.empty()) return fail(Errc::invalid_argument, "there are no images to describe");
  if (options_.mode == Mode::llm) {
    return fail(Errc::unsupported, "a bridge in llm mode generates text; it describes no images");
  }
  ESCRIBANO_TRY(const auto limits, CallLimits::make(options.deadline, options.stop));
  ESCRIBANO_CHECK(limits->check());
  FrameDelivery delivery(images, on_image_processed, results);
  if (!delivery.to_send().empty()) {
    ESCRIBANO_CHECK(
        with_bridge(*limits, [&](JoinedBridge& bridge) { return describe_by(bridge, options, delivery, *limits); }));
  }
  delivery.finish();
  return {};
}

Status BridgeClient::describe_by(JoinedBridge& bridge, const DescribeOptions& options, FrameDelivery& delivery,
                                 const CallLimits& limits) {
  ESCRIBANO_CHECK(check_model(bridge, limits));
  const Generation first = known(bridge.identity).generation;
  Status status = ask_generation(first, bridge.connection, options, delivery, limits);
  if (status || delivery.begun() || !is_unknown_method(status.error())) return status;
  const Generation second = first == Generation::describing ? Generation::conversing : Generation::describing;
  status = ask_generation(second, bridge.connection, options, delivery, limits);
  if (status || delivery.begun()) learn(bridge.identity, [&](Known& known) { known.generation = second; });
  if (!status && is_unknown_method(status.error())) {
    return fail(Errc::unsupported, "this bridge describes no images: {}", status.error().message);
  }
  return status;
}

Status BridgeClient::ask_generation(Generation generation, BridgeConnection& connection, const DescribeOptions& options,
                                    FrameDelivery& delivery, const CallLimits& limits) {
  const std::span<const SentFrame> frames = delivery.to_send();
  const auto batch_size = static_cast<std::size_t>(options.batch_size);
  if (generation == Generation::describing) {
    for (const FrameRange range : split_into_requests(frames, batch_size)) {
      const auto part = frames.subspan(range.begin, range.count);
      protocol::DescribeImages request{.batch_size = options.batch_size,
                                       .max_tokens = options.max_tokens,
                                       .prompt = options.prompt,
                                       .strategy = options.strategy,
                                       .temperature = options.temperature,
                                       .deadline = wire_deadline(limits)};
      for (const SentFrame& sent : part) request.images.push_back(sent.frame);
      ESCRIBANO_CHECK(connection.send({.method = std::move(request)}, limits));
      ESCRIBANO_CHECK(read_batches(connection, part, delivery, limits));
    }
    return {};
  }
  const std::size_t group = options.strategy == DescribeStrategy::interleaved ? batch_size : 1;
  for (std::size_t begin = 0; begin < frames.size(); begin += group) {
    const auto part = frames.subspan(begin, std::min(group, frames.size() - begin));
    ESCRIBANO_TRY(FrameQuestion question, FrameQuestion::make(part, options));
    Result<protocol::TextAnswer> answer{protocol::TextAnswer{}};
    if (auto request = question.take_request()) {
      request->deadline = wire_deadline(limits);
      answer = connection.ask_text(*std::move(request), limits);
      if (!answer && !fails_alone(answer.error())) return fail(std::move(answer).error());
    }
    std::vector<FrameResult> results = question.results(answer);
    for (std::size_t i = 0; i < part.size(); ++i) {
      ESCRIBANO_CHECK(limits.check());
      delivery.put(part[i], std::move(results[i]));
    }
  }
  return {};
}

// The answers to one describe_images.
Status BridgeClient::read_batches(BridgeConnection& connection, std::span<const SentFrame> frames,
                                  FrameDelivery& delivery, const CallLimits& limits) {
  std::size_t position = 0;
  while (true) {
    ESCRIBANO_TRY(DecodedAnswer decoded, connection.receive(limits));
    if (auto* error = std::get_if<protocol::ErrorAnswer>(&decoded.answer.body)) return fail(std::move(error->error));
    if (auto* batch = std::get_if<protocol::BatchAnswer>(&decoded.answer.body)) {
      for (std::size_t i = 0; i < batch->results.size(); ++i, ++position) {
        FrameResult& result = batch->results[i];
        if (position == frames.size()) {
          return fail(Errc::protocol_error, "the bridge sent more results than the {} frames it was asked about",
                      position);
        }
        if (!belongs(result, frames[position], position, i)) {
          return fail(Errc::protocol_error,
                      "the bridge sent the result of frame {} ({}) where that of frame {} ({}) was due", result.index,
                      result.image_path, position, frames[position].frame.path.native());
        }
        ESCRIBANO_CHECK(limits.check());
        delivery.put(frames[position], std::move(result));
      }
    } else if (!std::holds_alternative<protocol::DoneAnswer>(decoded.answer.body)) {
      return fail(Errc::protocol_error, "the bridge answered describe_images with something else");
    }
    if (!decoded.done) continue;
    if (position == frames.size()) return {};
    return fail(Errc::protocol_error, "the bridge ended its answer after {} of {} results", position, frames.size());
  }
}

Result<GeneratedText> BridgeClient::generate_text(std::string_view prompt, const GenerateOptions& options) {
  ESCRIBANO_CHECK(check_options(options.validate()));
  ESCRIBANO_TRY(const auto limits, CallLimits::make(options.deadline, options.stop));
  ESCRIBANO_CHECK(limits->check());
  auto answer =
      with_bridge(*limits, [&](JoinedBridge& bridge) { return generate_by(bridge, prompt, options, *limits); });
  if (!answer) {
    if (!is_unknown_method(answer.error())) return fail(std::move(answer).error());
    return fail(Errc::unsupported, "this bridge describes images only; it generates no text ({})",
                answer.error().message);
  }
  std::string text = to_valid_utf8(without_thought(answer->text));
  text.erase(0, std::min(text.size(), text.find_first_not_of(" \t\r\n")));
  // Bridges of others do not say why an answer ended.
  const bool truncated = answer->finish_reason == "length" || answer->generation_tokens >= options.max_tokens;
  return GeneratedText{std::move(text), answer->prompt_tokens, answer->generation_tokens, truncated};
}

Result<protocol::TextAnswer> BridgeClient::generate_by(JoinedBridge& bridge, std::string_view prompt,
                                                       const GenerateOptions& options, const CallLimits& limits) {
  const bool llm = options_.mode == Mode::llm;
  if (llm) ESCRIBANO_CHECK(load_llm(bridge, limits));
  protocol::Infer request;
  request.method = llm ? protocol::Infer::Method::llm_infer : protocol::Infer::Method::text_infer;
  request.content.messages = {
      {.role = "user", .content = {{protocol::ContentPart::Kind::text, to_valid_utf8(prompt)}}}};
  request.max_tokens = options.max_tokens;
  request.temperature = options.temperature;
  request.think = llm && options.think;
  request.deadline = wire_deadline(limits);
  return bridge.connection.ask_text(std::move(request), limits);
}

// Once for each bridge (or twice, where two calls come first at once: it does no harm).
Status BridgeClient::load_llm(JoinedBridge& bridge, const CallLimits& limits) {
  if (known(bridge.identity).llm_loaded) return {};
  ESCRIBANO_CHECK(bridge.connection.ask({.method = protocol::LoadLlm{options_.llm_model}}, limits));
  learn(bridge.identity, [](Known& known) { known.llm_loaded = true; });
  return {};
}

// A bridge that somebody else started may serve another model than the one that was asked for. Bridges of others cannot be
// asked, and are taken as they are.
Status BridgeClient::check_model(JoinedBridge& bridge, const CallLimits& limits) {
  if (options_.expected_model.empty() || bridge.started_pid != -1) return {};
  if (known(bridge.identity).model_checked) return {};
  const auto answer = bridge.connection.ask({.method = protocol::StatusQuery{}}, limits);
  if (!answer && !is_unknown_method(answer.error())) return fail(answer.error());
  const auto* status = answer ? std::get_if<protocol::BridgeStatus>(&answer->answer.body) : nullptr;
  if (status != nullptr && status->model != options_.expected_model) {
    return fail(Errc::bridge_unavailable, "the bridge at {} serves {}, not {}; end it, or use a socket of its own",
                printable(options_.socket_path), status->model, options_.expected_model);
  }
  learn(bridge.identity, [](Known& known) { known.model_checked = true; });
  return {};
}

}  // namespace

std::vector<std::string> BridgeClientOptions::validate() const {
  std::vector<std::string> problems;
  if (socket_path.empty()) problems.emplace_back("the path of the bridge's socket is empty");
  if (!command.empty() && command.front().empty()) problems.emplace_back("the command of the bridge has no program");
  if (startup_timeout.count() <= 0) problems.emplace_back("the time for a bridge to start must be more than 0");
  if (shutdown_grace.count() < 0) problems.emplace_back("the time for a bridge to end cannot be negative");
  return problems;
}

std::unique_ptr<IntelligenceService> make_bridge_client(BridgeClientOptions options) {
  return std::make_unique<BridgeClient>(std::move(options));
}

}  // namespace escribano
