#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "engine/core/prompt.h"
#include "engine/core/unit.h"
#include "engine/engine.h"
#include "engine/plan/attempt.h"

namespace escribano::engine {

// One request, as the engine's core sees it: units of work to give out, and what becomes of their answers. Engine thread
// only, but for what is said to be for any thread, which is constant.
class Job {
 public:
  explicit Job(JobId id) : id_(id) {}
  virtual ~Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  JobId id() const noexcept { return id_; }  // any thread

  // The first reason stands. One caller at a time, of any thread.
  void cancel(Error reason) {
    if (cancelled_.load()) return;
    cancel_reason_ = std::move(reason);
    cancelled_.store(true);
  }
  bool cancelled() const noexcept { return cancelled_.load(); }           // any thread
  const Error& cancel_reason() const noexcept { return cancel_reason_; }  // any thread, once cancelled() was true

  // Scheduling: work not yet given out, and how many units are on their way.
  virtual bool has_waiting_units() const noexcept = 0;
  virtual std::size_t waiting_frames() const noexcept = 0;  // images of that work
  // The next unit, with nothing loaded. Only if there is one.
  virtual std::shared_ptr<Unit> next_unit(const std::shared_ptr<Job>& self) = 0;
  int units_in_flight = 0;

  // How to answer; any thread.
  virtual const Sampling& sampling() const noexcept = 0;
  virtual int max_tokens() const noexcept = 0;          // output budget of an attempt
  virtual int most_output_tokens() const noexcept = 0;  // of all attempts at one unit
  virtual bool constrained() const noexcept = 0;
  // Whether the answers of its units are like those of other jobs that ask the same, so that they are drafts for each other.
  virtual bool answers_are_alike() const noexcept { return false; }
  virtual const FrameInput& frame(std::size_t index) const noexcept = 0;
  // What to ask about the members of `unit`; any thread. An error fails the unit.
  virtual Result<Prompt> prompt(const Backend& backend, const Unit& unit) const = 0;
  // The answer format for that many frames; nullopt when unconstrained.
  virtual std::optional<LineGrammar> grammar(std::size_t frames, bool constrained) const = 0;
  // What the answer to `unit`, which is loaded, will depend on; nullopt where it is not to be shared with other units.
  virtual std::optional<AnswerKey> answer_key(const Unit& unit) const = 0;
  // Whether vision embeddings may be those that were kept; any thread.
  virtual bool reuse() const noexcept = 0;
  // Whether the answer in `unit` is complete, given how it ended.
  virtual AttemptState::Outcome outcome(const Unit& unit, std::string_view text, FinishReason reason) const = 0;

  // Ends `unit` with an error; an image that could not be loaded has its own.
  virtual void deliver_failure(const Unit& unit, const Error& error) = 0;
  // Ends `unit` with what the model wrote.
  virtual void deliver_answer(const Unit& unit, const std::string& text, FinishReason reason) = 0;

  // Tells whoever asked what has come of delivered units and can be told by now; they are counted by then.
  virtual void hand_out() {}

  // Whether every unit was delivered and handed out; then, or when the job is cancelled, comes finish(), once.
  virtual bool complete() const noexcept = 0;
  virtual void finish(const Status& status) = 0;

  // Totals of what was delivered since the last call, for EngineCounters.
  struct Tally {
    std::uint64_t described = 0;
    std::uint64_t unparsed = 0;
    std::uint64_t failed = 0;
    std::uint64_t generations = 0;
  };
  Tally take_tally() noexcept { return std::exchange(tally_, {}); }

 protected:
  Tally tally_;

 private:
  JobId id_;
  Error cancel_reason_;  // written before cancelled_, never again
  std::atomic<bool> cancelled_ = false;
};

}  // namespace escribano::engine
