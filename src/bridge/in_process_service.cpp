#include "bridge/in_process_service.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "format/thought.h"

namespace escribano::bridge {
namespace {

using Clock = std::chrono::steady_clock;

// What the engine's thread reports to the one that waits.
template <class T>
class Mailbox {
 public:
  void post(T value) {
    const std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_all();
  }

  // The next report. nullopt where a stop was asked for or `until` has passed.
  std::optional<T> wait(const std::stop_token& stop, Clock::time_point until) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, stop, until, [&] { return !values_.empty(); });
    if (values_.empty()) return std::nullopt;
    std::optional<T> value(std::move(values_.front()));
    values_.pop_front();
    return value;
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<T> values_;
};

// A call's limits: its stop token and its deadline, until one of them has ended the job.
struct Limits {
  // Far enough off to be never, and near enough for any clock's arithmetic.
  static constexpr std::chrono::hours kNever{24 * 365};

  std::stop_token stop;
  Clock::time_point until = Clock::now() + kNever;

  Limits(std::stop_token stop_token, std::chrono::milliseconds deadline) : stop(std::move(stop_token)) {
    if (deadline.count() > 0) until = Clock::now() + deadline;
  }
  // Why the wait ended without a report; from then on the wait is for the job's own end.
  Error reason() {
    Error error = stop.stop_requested() ? Error{Errc::cancelled, "cancelled"}
                                        : Error{Errc::deadline_exceeded, "the deadline passed before all was done"};
    stop = {};
    until = Clock::now() + kNever;
    return error;
  }
};

}  // namespace

DescribeOutcome InProcessService::describe_images(std::span<const Frame> images, const DescribeOptions& options,
                                                  const OnImageProcessed& on_image_processed) {
  DescribeOutcome outcome;
  if (const auto problems = options.validate(); !problems.empty()) {
    outcome.status = fail(Errc::invalid_argument, "{}", problems.front());
    return outcome;
  }
  protocol::DescribeImages wanted;
  wanted.images.assign(images.begin(), images.end());
  wanted.prompt = options.prompt;
  wanted.strategy = options.strategy;
  wanted.temperature = options.temperature;
  engine::DescribeRequest request =
      to_engine(wanted, {.batch_size = options.batch_size, .max_tokens = options.max_tokens});
  request.sampling.seed = options_.seed;
  request.constrained = options_.constrained;

  struct Report {
    std::optional<engine::FrameResult> frame;
    Status done;
  };
  // Shared with the observer, which may still be on its way out when the last report has been taken.
  const auto reports = std::make_shared<Mailbox<Report>>();
  const auto job = engine_->submit(std::move(request), {.on_frame =
                                                            [reports](const auto& frame) {
                                                              reports->post({frame, {}});
                                                            },
                                                        .on_done =
                                                            [reports](const Status& done) {
                                                              reports->post({{}, done});
                                                            }});
  if (!job) {
    outcome.status = fail(job.error());
    return outcome;
  }
  Limits limits(options.stop, options.deadline);
  while (true) {
    auto report = reports->wait(limits.stop, limits.until);
    if (!report) {
      engine_->cancel(*job, limits.reason());
      continue;
    }
    if (!report->frame) {
      outcome.status = std::move(report->done);
      return outcome;
    }
    outcome.results.push_back(to_domain(*report->frame, images[report->frame->index]));
    if (on_image_processed) on_image_processed(outcome.results.back(), {outcome.results.size(), images.size()});
  }
}

Result<GeneratedText> InProcessService::generate_text(std::string_view prompt, const GenerateOptions& options) {
  if (const auto problems = options.validate(); !problems.empty()) {
    return fail(Errc::invalid_argument, "{}", problems.front());
  }
  engine::GenerateRequest request;
  request.messages.push_back({"user", {std::string(prompt)}});
  request.max_tokens = options.max_tokens;
  request.sampling = {.temperature = options.temperature, .seed = options_.seed};
  request.think = options.think;
  const auto reports = std::make_shared<Mailbox<Result<engine::GenerateResult>>>();
  ESCRIBANO_TRY(const engine::JobId job,
                engine_->submit(std::move(request), [reports](const auto& result) { reports->post(result); }));
  Limits limits(options.stop, options.deadline);
  while (true) {
    auto report = reports->wait(limits.stop, limits.until);
    if (!report) {
      engine_->cancel(job, limits.reason());
      continue;
    }
    ESCRIBANO_TRY(const engine::GenerateResult result, *std::move(report));
    return GeneratedText{
        .text = without_thought(result.text),
        .prompt_tokens = result.stats.prompt_tokens,
        .generation_tokens = result.stats.generation_tokens,
        .truncated = result.stats.finish_reason == engine::FinishReason::length,
    };
  }
}

}  // namespace escribano::bridge
