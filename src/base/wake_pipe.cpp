#include "base/wake_pipe.h"

#include <cerrno>
#include <utility>

#include <unistd.h>

#include "base/posix.h"

namespace escribano {

Result<WakePipe> WakePipe::make() {
  ESCRIBANO_TRY(Pipe pipe, make_pipe());
  ESCRIBANO_CHECK(set_nonblocking(pipe.read_end));
  ESCRIBANO_CHECK(set_nonblocking(pipe.write_end));
  WakePipe result;
  result.read_ = std::move(pipe.read_end);
  result.write_ = std::move(pipe.write_end);
  return result;
}

void WakePipe::wake() const noexcept {
  const int saved = errno;
  const char byte = 1;
  // A full pipe means that it wakes already.
  [[maybe_unused]] const ssize_t put = ::write(write_.get(), &byte, 1);
  errno = saved;
}

void WakePipe::drain() const noexcept {
  char bytes[256];
  while (true) {
    const ssize_t got = ::read(read_.get(), bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < static_cast<ssize_t>(sizeof bytes)) return;
  }
}

}  // namespace escribano
