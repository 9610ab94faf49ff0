#include "base/posix.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace escribano {
namespace {

Status above_standard_streams(FileDescriptor& fd) {
  if (fd.get() > STDERR_FILENO) return {};
  FileDescriptor moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!moved) return fail(Errc::io_error, "a pipe cannot be made: {}", errno_text(errno));
  fd = std::move(moved);
  return {};
}

}  // namespace

Errc errc_of(int error) noexcept {
  switch (error) {
    case ENOENT:
    case ENOTDIR: return Errc::not_found;
    case EACCES:
    case EPERM: return Errc::not_permitted;
    default: return Errc::io_error;
  }
}

std::string errno_text(int error) { return std::error_code(error, std::generic_category()).message(); }

Result<Pipe> make_pipe() {
  int fds[2];
#ifdef __linux__
  const int made = ::pipe2(fds, O_CLOEXEC);
#else
  const int made = ::pipe(fds);  // a fork of another thread may catch these two before they are close-on-exec
#endif
  if (made != 0) return fail(Errc::io_error, "a pipe cannot be made: {}", errno_text(errno));
  Pipe pipe{FileDescriptor(fds[0]), FileDescriptor(fds[1])};
#ifndef __linux__
  for (const int fd : fds) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
  ESCRIBANO_CHECK(above_standard_streams(pipe.read_end));
  ESCRIBANO_CHECK(above_standard_streams(pipe.write_end));
  return pipe;
}

Status set_nonblocking(const FileDescriptor& fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0)
    return fail(Errc::io_error, "a descriptor cannot be made non-blocking: {}", errno_text(errno));
  return {};
}

}  // namespace escribano
