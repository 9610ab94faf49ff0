#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/core/prompt.h"
#include "engine/core/unit.h"
#include "engine/engine.h"
#include "engine/plan/attempt.h"

namespace escribano::engine {

// One request: how its frames are grouped into prompts, what each prompt says, and what becomes of the answers. Engine
// thread only, but for what is constant (id, request) and for `cancelled`.
class DescribeJob {
 public:
  // `frames_per_prompt` is the request's batch size within the model's limit (interleaved).
  DescribeJob(JobId id, DescribeRequest request, DescribeObserver observer, int frames_per_prompt);

  JobId id() const noexcept { return id_; }
  const DescribeRequest& request() const noexcept { return request_; }
  std::atomic<bool> cancelled = false;

  // Scheduling: frames not yet given out, and how many units are on their way.
  bool has_waiting_frames() const noexcept { return next_frame_ < request_.frames.size(); }
  std::size_t waiting_frames() const noexcept { return request_.frames.size() - next_frame_; }
  // A unit of the next frame or group, with nothing loaded.
  std::shared_ptr<Unit> next_unit(const std::shared_ptr<DescribeJob>& self);
  int units_in_flight = 0;

  // What to ask about the members of `unit`; any thread.
  Result<std::vector<MessagePart>> message(const Unit& unit) const;
  // The answer format for that many frames; nullopt when unconstrained.
  std::optional<LineGrammar> grammar(std::size_t frames, bool constrained) const;
  // Whether the answer in `unit` is complete, given how it ended.
  AttemptState::Outcome outcome(const Unit& unit, std::string_view text, FinishReason reason) const;

  // Ends every frame of `unit` with one error, or with its own where its picture could not be loaded.
  void deliver_failure(const Unit& unit, const Error& error);
  // Ends every frame of `unit`: members with their part of the answer, others with their own error.
  void deliver_answer(const Unit& unit, const std::string& text, FinishReason reason);

  bool complete() const noexcept { return delivered_ == request_.frames.size(); }
  void finish(const Status& status);

  // Totals of what was delivered, for EngineCounters.
  struct Tally {
    std::uint64_t described = 0;
    std::uint64_t unparsed = 0;
    std::uint64_t failed = 0;
  };
  Tally take_tally() noexcept { return std::exchange(tally_, {}); }

 private:
  void deliver(FrameResult result);
  FrameResult failed_frame(const LoadedImage& image, const Error& error) const;

  JobId id_;
  DescribeRequest request_;
  DescribeObserver observer_;
  std::size_t frames_per_prompt_;
  std::size_t next_frame_ = 0;
  std::size_t delivered_ = 0;                        // results handed to the observer, from the front
  std::vector<std::optional<FrameResult>> waiting_;  // results that wait for an earlier frame
  Tally tally_;
};

}  // namespace escribano::engine
