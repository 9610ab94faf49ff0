#include "intelligence/call_limits.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include "base/posix.h"

namespace escribano {
namespace {

// poll() counts in whole milliseconds: rounded up, so that it does not wake just before the time.
int poll_timeout(std::chrono::steady_clock::duration left) {
  const auto whole = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<std::int64_t>(whole, 0, INT_MAX));
}

}  // namespace

Result<std::unique_ptr<CallLimits>> CallLimits::make(std::chrono::milliseconds deadline, std::stop_token stop) {
  ESCRIBANO_TRY(WakePipe wake, WakePipe::make());
  std::optional<Clock::time_point> end;
  if (deadline.count() > 0) end = Clock::now() + deadline;
  return std::unique_ptr<CallLimits>(new CallLimits(std::move(wake), end, std::move(stop)));
}

CallLimits::CallLimits(WakePipe wake, std::optional<Clock::time_point> end, std::stop_token stop)
    : wake_(std::move(wake)), end_(end), stop_(std::move(stop)), on_stop_(stop_, [this] { wake_.wake(); }) {}

Status CallLimits::check() const {
  if (stop_.stop_requested()) return fail(Errc::cancelled, "the call was stopped");
  if (end_ && Clock::now() >= *end_) return fail(Errc::deadline_exceeded, "the time limit of the call has passed");
  return {};
}

// What entries[1] has, 0 where the time is over.
Result<short> CallLimits::wait(pollfd* entries, nfds_t count, std::optional<Clock::time_point> until) const {
  if (end_ && (!until || *end_ < *until)) until = end_;
  while (true) {
    ESCRIBANO_CHECK(check());
    const int timeout = until ? poll_timeout(*until - Clock::now()) : -1;
    const int ready = ::poll(entries, count, timeout);
    if (ready < 0 && errno != EINTR) return fail(Errc::io_error, "waiting for a bridge failed: {}", errno_text(errno));
    ESCRIBANO_CHECK(check());
    if (ready > 0 && count > 1 && entries[1].revents != 0) return entries[1].revents;
    if (until && Clock::now() >= *until) return short{0};
  }
}

Result<short> CallLimits::wait_for(int fd, short events) const {
  std::array<pollfd, 2> entries = {
      {{.fd = wake_.fd(), .events = POLLIN, .revents = 0}, {.fd = fd, .events = events, .revents = 0}}};
  return wait(entries.data(), entries.size(), std::nullopt);
}

Status CallLimits::sleep(std::chrono::milliseconds time) const {
  pollfd entry = {.fd = wake_.fd(), .events = POLLIN, .revents = 0};
  ESCRIBANO_TRY([[maybe_unused]] const short none, wait(&entry, 1, Clock::now() + time));
  return {};
}

std::optional<std::chrono::milliseconds> CallLimits::left() const {
  if (!end_) return std::nullopt;
  return std::max(std::chrono::milliseconds(1),
                  std::chrono::duration_cast<std::chrono::milliseconds>(*end_ - Clock::now()));
}

}  // namespace escribano
