#include "intelligence/chat_service.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/utf8.h"
#include "format/thought.h"
#include "intelligence/chat.h"
#include "intelligence/chat_exchange.h"
#include "intelligence/frame_chat.h"

namespace escribano {
namespace {

using Clock = ChatExchange::Clock;

Clock::time_point end_of(std::chrono::milliseconds deadline) {
  // Half of what the clock can say is as good as never, and arithmetic with it does not overflow.
  if (deadline.count() <= 0) return Clock::time_point(Clock::duration::max() / 2);
  return Clock::now() + std::min<Clock::duration>(deadline, std::chrono::hours(24 * 365));
}

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// One call of describe_images: keeps `parallel` groups under way, and hands results over in order.
class DescribeCall {
 public:
  DescribeCall(const ServerOptions& server, std::span<const Frame> images, const DescribeOptions& options,
               const OnImageProcessed& on_image_processed)
      : server_(server),
        images_(images),
        options_(options),
        on_image_processed_(on_image_processed),
        groups_(group_frames(images.size(), options)) {}

  Status run(const ChatWire& wire, Clock::time_point deadline) {
    ESCRIBANO_TRY(ChatExchange exchange, ChatExchange::open(wire, server_));
    while (outcome.results.size() < images_.size()) {
      ESCRIBANO_CHECK(begin_groups(exchange, deadline));
      if (exchange.open_requests() == 0) continue;
      ESCRIBANO_TRY(const ChatExchange::Answered answered, exchange.next(options_.stop, deadline));
      ESCRIBANO_CHECK(finish_group(answered.id, answered.answer));
    }
    return {};
  }

  DescribeOutcome outcome;

 private:
  Status begin_groups(ChatExchange& exchange, Clock::time_point deadline) {
    while (next_group_ < groups_.size() && exchange.open_requests() < static_cast<std::size_t>(server_.parallel)) {
      ESCRIBANO_CHECK(still_wanted());
      if (Clock::now() >= deadline) return fail(Errc::deadline_exceeded, "the time limit of the call has passed");
      const std::size_t id = next_group_++;
      ESCRIBANO_TRY(FrameChat chat, FrameChat::prepare(images_, groups_[id], options_, server_.max_image_bytes));
      std::optional<ChatRequest> request = chat.take_request();
      under_way_.emplace(id, std::move(chat));
      if (!request) {
        ESCRIBANO_CHECK(finish_group(id, ChatAnswer{}));  // none of its files could be read
        continue;
      }
      ESCRIBANO_CHECK(exchange.ask(id, *std::move(request)));
    }
    return {};
  }

  Status finish_group(std::size_t id, const Result<ChatAnswer>& answer) {
    const auto group = under_way_.find(id);
    finished_.emplace(id, group->second.results(answer));
    under_way_.erase(group);
    for (auto next = finished_.find(next_delivered_); next != finished_.end(); next = finished_.find(next_delivered_)) {
      for (FrameResult& result : next->second) ESCRIBANO_CHECK(deliver(std::move(result)));
      finished_.erase(next);
      ++next_delivered_;
    }
    return {};
  }

  Status deliver(FrameResult result) {
    ESCRIBANO_CHECK(still_wanted());
    outcome.results.push_back(std::move(result));
    if (on_image_processed_) on_image_processed_(outcome.results.back(), {outcome.results.size(), images_.size()});
    return {};
  }

  Status still_wanted() const {
    if (options_.stop.stop_requested()) return fail(Errc::cancelled, "cancelled");
    return {};
  }

  const ServerOptions& server_;
  const std::span<const Frame> images_;
  const DescribeOptions& options_;
  const OnImageProcessed& on_image_processed_;
  const std::vector<FrameGroup> groups_;
  std::size_t next_group_ = 0;
  std::map<std::size_t, FrameChat> under_way_;
  std::map<std::size_t, std::vector<FrameResult>> finished_;  // whose turn has not come
  std::size_t next_delivered_ = 0;                            // group
};

class ChatService final : public IntelligenceService {
 public:
  ChatService(ServerOptions options, std::unique_ptr<const ChatWire> wire)
      : options_(std::move(options)), wire_(std::move(wire)) {}

  DescribeOutcome describe_images(std::span<const Frame> images, const DescribeOptions& options,
                                  const OnImageProcessed& on_image_processed) override {
    const Clock::time_point deadline = end_of(options.deadline);
    if (const std::vector<std::string> problems = options.validate(); !problems.empty()) {
      return {.status = fail(Errc::invalid_argument, "{}", fmt::join(problems, "; "))};
    }
    if (images.empty()) return {.status = fail(Errc::invalid_argument, "there are no images to describe")};
    DescribeCall call(options_, images, options, on_image_processed);
    call.outcome.status = call.run(*wire_, deadline);
    return std::move(call.outcome);
  }

  Result<GeneratedText> generate_text(std::string_view prompt, const GenerateOptions& options) override {
    const Clock::time_point deadline = end_of(options.deadline);
    if (const std::vector<std::string> problems = options.validate(); !problems.empty()) {
      return fail(Errc::invalid_argument, "{}", fmt::join(problems, "; "));
    }
    if (trimmed(prompt).empty()) return fail(Errc::invalid_argument, "the prompt is empty");
    ESCRIBANO_TRY(ChatExchange exchange, ChatExchange::open(*wire_, options_));
    ESCRIBANO_CHECK(exchange.ask(0, {.text = to_valid_utf8(prompt),
                                     .max_tokens = options.max_tokens,
                                     .temperature = options.temperature,
                                     .think = options.think}));
    ESCRIBANO_TRY(const ChatExchange::Answered answered, exchange.next(options.stop, deadline));
    ESCRIBANO_TRY(const ChatAnswer answer, answered.answer);
    return GeneratedText{.text = to_valid_utf8(trimmed(without_thought(answer.text))),
                         .prompt_tokens = answer.prompt_tokens,
                         .generation_tokens = answer.generation_tokens,
                         .truncated = answer.finish_reason == "length"};
  }

 private:
  const ServerOptions options_;
  const std::unique_ptr<const ChatWire> wire_;
};

}  // namespace

std::chrono::milliseconds RetryPolicy::delay_before(int retry) const {
  if (delay) return delay(retry);
  return std::chrono::milliseconds(500) * (1 << std::clamp(retry - 1, 0, 4));
}

std::vector<std::string> ServerOptions::validate() const {
  std::vector<std::string> problems = http.validate();
  if (const Result<HttpUrl> parsed = parse_http_url(url); !parsed) {
    problems.push_back(parsed.error().message);
  } else if (url.find_first_of("?#") != std::string::npos) {
    problems.push_back(fmt::format("{}: the server's address must have no '?' and no '#'", parsed->shown));
  }
  if (model.empty()) problems.emplace_back("no model is named");
  if (!is_valid_utf8(model)) problems.emplace_back("the name of the model is not UTF-8");
  if (parallel < 1 || parallel > 255) {
    problems.push_back(fmt::format("the number of requests at once is {}; it must be from 1 to 255", parallel));
  }
  if (retry.retries < 0) problems.emplace_back("the number of retries must not be below 0");
  return problems;
}

std::unique_ptr<IntelligenceService> make_chat_service(ServerOptions options, std::unique_ptr<const ChatWire> wire) {
  return std::make_unique<ChatService>(std::move(options), std::move(wire));
}

}  // namespace escribano
