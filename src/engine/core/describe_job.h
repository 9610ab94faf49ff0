#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/job.h"

namespace escribano::engine {

// Frames to describe: how they are grouped into prompts, what each prompt says, and what becomes of the answers.
class DescribeJob final : public Job {
 public:
  // `frames_per_prompt` is the request's batch size within the model's limit (interleaved).
  DescribeJob(JobId id, DescribeRequest request, DescribeObserver observer, int frames_per_prompt);

  bool has_waiting_units() const noexcept override { return next_frame_ < request_.frames.size(); }
  std::size_t waiting_frames() const noexcept override { return request_.frames.size() - next_frame_; }
  // Of the next frame or group.
  std::shared_ptr<Unit> next_unit(const std::shared_ptr<Job>& self) override;

  const Sampling& sampling() const noexcept override { return request_.sampling; }
  int max_tokens() const noexcept override { return request_.max_tokens; }
  int most_output_tokens() const noexcept override { return 2 * request_.max_tokens; }  // see plan_retry
  bool constrained() const noexcept override { return request_.constrained; }
  bool answers_are_alike() const noexcept override { return request_.strategy == Strategy::parallel; }
  const FrameInput& frame(std::size_t index) const noexcept override { return request_.frames[index]; }
  Result<Prompt> prompt(const Backend& backend, const Unit& unit) const override;
  std::optional<LineGrammar> grammar(std::size_t frames, bool constrained) const override;
  // Of frames that are prompts of their own.
  std::optional<AnswerKey> answer_key(const Unit& unit) const override;
  bool reuse() const noexcept override { return request_.reuse; }
  AttemptState::Outcome outcome(const Unit& unit, std::string_view text, FinishReason reason) const override;

  // Ends every frame of `unit` with one error, or with its own where its picture could not be loaded.
  void deliver_failure(const Unit& unit, const Error& error) override;
  // Ends every frame of `unit`: members with their part of the answer, others with their own error.
  void deliver_answer(const Unit& unit, const std::string& text, FinishReason reason) override;
  void hand_out() override;
  bool complete() const noexcept override { return delivered_ == request_.frames.size(); }
  void finish(const Status& status) override;

 private:
  void deliver(FrameResult result);
  Result<std::vector<MessagePart>> message(const Unit& unit) const;
  FrameResult failed_frame(const LoadedImage& image, const Error& error) const;

  DescribeRequest request_;
  DescribeObserver observer_;
  std::size_t frames_per_prompt_;
  std::size_t next_frame_ = 0;
  std::size_t delivered_ = 0;                        // results handed to the observer, from the front
  std::vector<std::optional<FrameResult>> waiting_;  // results that wait for an earlier frame
};

}  // namespace escribano::engine
