#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include <poll.h>

#include "base/error.h"
#include "base/wake_pipe.h"

namespace escribano {

// What ends a call early: its deadline and its stop token. All waiting of a call is done here, so that both always count.
// For the thread that makes the call.
class CallLimits {
 public:
  // `deadline` counts from now; 0: none.
  static Result<std::unique_ptr<CallLimits>> make(std::chrono::milliseconds deadline, std::stop_token stop);
  CallLimits(const CallLimits&) = delete;
  CallLimits& operator=(const CallLimits&) = delete;
  ~CallLimits() = default;

  // Fails with cancelled or deadline_exceeded where the call has to end now.
  Status check() const;
  // Waits until `fd` has one of `events`; what it has. Fails as check().
  Result<short> wait_for(int fd, short events) const;
  // Waits `time`. Fails as check(), as soon as it does.
  Status sleep(std::chrono::milliseconds time) const;

  // What is left, at least 1 ms; nullopt without a deadline.
  std::optional<std::chrono::milliseconds> left() const;

 private:
  using Clock = std::chrono::steady_clock;
  CallLimits(WakePipe wake, std::optional<Clock::time_point> end, std::stop_token stop);
  Result<short> wait(pollfd* entries, nfds_t count, std::optional<Clock::time_point> until) const;

  const WakePipe wake_;
  const std::optional<Clock::time_point> end_;
  const std::stop_token stop_;
  const std::stop_callback<std::function<void()>> on_stop_;  // last: it uses wake_
};

}  // namespace escribano
