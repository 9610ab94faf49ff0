#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/job.h"

namespace escribano::engine {

// The prompt of `request`; its images are numbered in the order of its messages. Fails with invalid_argument for a role
// that there is not, else as prompt.h says. Any thread.
Result<Prompt> conversation_prompt(const Backend& backend, const GenerateRequest& request);

// The images of `request` in the order of its messages. They live as long as the request.
std::vector<const FrameInput*> images_of(const GenerateRequest& request);

// One conversation: one unit, whose images are those of its messages. No format, and no more room than was asked for.
class GenerateJob final : public Job {
 public:
  using OnDone = std::function<void(const Result<GenerateResult>&)>;

  GenerateJob(JobId id, GenerateRequest request, OnDone on_done);

  bool has_waiting_units() const noexcept override { return !given_out_; }
  std::size_t waiting_frames() const noexcept override { return given_out_ ? 0 : images_.size(); }
  std::shared_ptr<Unit> next_unit(const std::shared_ptr<Job>& self) override;

  const Sampling& sampling() const noexcept override { return request_.sampling; }
  int max_tokens() const noexcept override { return request_.max_tokens; }
  int most_output_tokens() const noexcept override { return request_.max_tokens; }
  bool constrained() const noexcept override { return false; }
  const FrameInput& frame(std::size_t index) const noexcept override { return *images_[index]; }
  Result<Prompt> prompt(const Backend& backend, const Unit& unit) const override;
  std::optional<LineGrammar> grammar(std::size_t frames, bool constrained) const override;
  std::optional<AnswerKey> answer_key(const Unit&) const override { return std::nullopt; }
  bool reuse() const noexcept override { return true; }
  AttemptState::Outcome outcome(const Unit& unit, std::string_view text, FinishReason reason) const override;

  void deliver_failure(const Unit& unit, const Error& error) override;
  void deliver_answer(const Unit& unit, const std::string& text, FinishReason reason) override;
  bool complete() const noexcept override { return result_.has_value(); }
  void finish(const Status& status) override;

 private:
  GenerateRequest request_;
  OnDone on_done_;
  std::vector<const FrameInput*> images_;  // of request_
  bool given_out_ = false;
  std::optional<Result<GenerateResult>> result_;
};

}  // namespace escribano::engine
