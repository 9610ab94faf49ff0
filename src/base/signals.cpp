#include "base/signals.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace escribano {
namespace {

// The handler may only touch lock-free atomics and write().
std::atomic<int> pipe_fd = -1;

void on_caught(int signal) {
  const int saved = errno;
  const auto byte = static_cast<unsigned char>(signal);
  // A full pipe means that signals wait to be read already.
  [[maybe_unused]] const ssize_t put = ::write(pipe_fd.load(), &byte, 1);
  errno = saved;
}

}  // namespace

Result<SignalWatcher> SignalWatcher::start(std::initializer_list<int> signals, std::function<void(int)> on_signal) {
  int fds[2];
  if (::pipe(fds) != 0) return fail(Errc::io_error, "no pipe for signals: {}", errno);
  FileDescriptor read_end(fds[0]);
  FileDescriptor write_end(fds[1]);
  for (const int fd : fds) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  pipe_fd.store(write_end.get());
  std::jthread thread([read_end = std::move(read_end), on_signal = std::move(on_signal)] {
    unsigned char byte = 0;
    while (true) {
      const ssize_t got = ::read(read_end.get(), &byte, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got != 1 || byte == 0) return;
      on_signal(byte);
    }
  });
  for (const int signal : signals) {
    struct sigaction action = {};
    action.sa_handler = on_caught;
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
    ::sigaction(signal, &action, nullptr);
  }
  return SignalWatcher(signals, std::move(write_end), std::move(thread));
}

SignalWatcher::SignalWatcher(std::initializer_list<int> signals, FileDescriptor write_end, std::jthread thread)
    : signals_(signals), write_end_(std::move(write_end)), thread_(std::move(thread)) {}

SignalWatcher::~SignalWatcher() {
  if (!write_end_) return;
  for (const int signal : signals_) ::signal(signal, SIG_DFL);
  const unsigned char end = 0;
  [[maybe_unused]] const ssize_t put = ::write(write_end_.get(), &end, 1);
  thread_.join();
  pipe_fd.store(-1);
}

}  // namespace escribano
