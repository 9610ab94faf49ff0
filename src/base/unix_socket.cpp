#include "base/unix_socket.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file_lock.h"
#include "base/posix.h"

namespace escribano {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBacklog = 128;
constexpr std::chrono::seconds kLockPatience{5};
constexpr std::chrono::seconds kBacklogPatience{1};
constexpr std::chrono::milliseconds kPause{5};

Result<sockaddr_un> address_of(const std::filesystem::path& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string& bytes = path.native();
  constexpr std::size_t kLimit = sizeof address.sun_path - 1;
  if (bytes.empty()) return fail(Errc::invalid_argument, "a socket needs a path");
  if (bytes.size() > kLimit) {
    return fail(Errc::invalid_argument,
                "{} is {} bytes long; the path of a socket can have {} on this system: use a shorter one",
                printable(path), bytes.size(), kLimit);
  }
  if (bytes.find('\0') != std::string::npos)
    return fail(Errc::invalid_argument, "the path of a socket cannot contain a zero byte");
  std::memcpy(address.sun_path, bytes.data(), bytes.size());
  return address;
}

tl::unexpected<Error> failed(const std::filesystem::path& path, std::string_view what, int error) {
  return fail(errc_of(error), "{}: {}: {}", printable(path), what, errno_text(error));
}

Result<FileDescriptor> make_socket() {
#ifdef __linux__
  FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(Errc::io_error, "a socket cannot be made: {}", errno_text(errno));
#else
  FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM, 0));
  if (!fd) return fail(Errc::io_error, "a socket cannot be made: {}", errno_text(errno));
  ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  ESCRIBANO_CHECK(set_nonblocking(fd));
#endif
#ifdef SO_NOSIGPIPE
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
  return fd;
}

// 0 or the errno of connect(). EAGAIN: someone listens, but has no room for one more connection now.
int try_connect(const FileDescriptor& fd, const sockaddr_un& address) {
  while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

enum class Occupant { nobody, dead_socket, live_socket, other_user, not_a_socket };

Result<Occupant> occupant_of(const std::filesystem::path& path, const sockaddr_un& address) {
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return Occupant::nobody;
    return failed(path, "cannot be looked at", errno);
  }
  if (!S_ISSOCK(info.st_mode)) return Occupant::not_a_socket;
  ESCRIBANO_TRY(const FileDescriptor probe, make_socket());
  switch (const int error = try_connect(probe, address); error) {
    case ENOENT: return Occupant::nobody;
    case ECONNREFUSED: return Occupant::dead_socket;
    case EACCES:
    case EPERM: return Occupant::other_user;
    case 0:
    case EAGAIN:
    case EINPROGRESS: return Occupant::live_socket;
    default: return failed(path, "cannot be connected to", error);
  }
}

// Between looking at a dead socket and removing it, and between bind() and listen() (where a socket looks dead), nobody
// else may look.
Result<FileLock> lock_for(const std::filesystem::path& path) {
  const std::filesystem::path lock_path = path.native() + ".lock";
  const auto end = Clock::now() + kLockPatience;
  while (true) {
    ESCRIBANO_TRY(std::optional<FileLock> lock, FileLock::try_lock(lock_path));
    if (lock) return *std::move(lock);
    if (Clock::now() >= end) return fail(Errc::io_error, "{} stays locked by another process", printable(lock_path));
    std::this_thread::sleep_for(kPause);
  }
}

// bind() so that the file has mode 0600 as soon as it is there.
int bind_private(const FileDescriptor& fd, const sockaddr_un& address) {
#ifdef __linux__
  // The file takes its mode from the socket, less the umask. So nothing is touched that other threads share.
  if (::fchmod(fd.get(), S_IRUSR | S_IWUSR) != 0) return errno;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return errno;
  return 0;
#else
  // The umask belongs to the process: files that other threads make in this moment are private too, and no more.
  const mode_t before = ::umask(S_IXUSR | S_IRWXG | S_IRWXO);
  const int error = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  ::umask(before);
  return error;
#endif
}

}  // namespace

Result<FileDescriptor> listen_unix(const std::filesystem::path& path) {
  ESCRIBANO_TRY(const sockaddr_un address, address_of(path));
  ESCRIBANO_TRY(FileDescriptor fd, make_socket());
  ESCRIBANO_TRY(const FileLock lock, lock_for(path));
  ESCRIBANO_TRY(const Occupant occupant, occupant_of(path, address));
  switch (occupant) {
    case Occupant::nobody: break;
    case Occupant::dead_socket:
      if (::unlink(path.c_str()) != 0) return failed(path, "the dead socket cannot be removed", errno);
      break;
    case Occupant::live_socket: return fail(Errc::already_running, "a process answers at {} already", printable(path));
    case Occupant::other_user:
      return fail(Errc::not_permitted, "the socket {} belongs to another user", printable(path));
    case Occupant::not_a_socket:
      return fail(Errc::io_error, "{} already exists and is not a socket; it was left as it is", printable(path));
  }
  if (const int error = bind_private(fd, address); error != 0) return failed(path, "cannot be listened at", error);
  if (::listen(fd.get(), kBacklog) != 0) {
    const int error = errno;
    ::unlink(path.c_str());
    return failed(path, "cannot be listened at", error);
  }
  return fd;
}

Result<std::optional<FileDescriptor>> accept_unix(const FileDescriptor& listener) {
  while (true) {
#ifdef __linux__
    FileDescriptor fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
#else
    FileDescriptor fd(::accept(listener.get(), nullptr, nullptr));
#endif
    if (!fd) {
      const int error = errno;
      if (error == EINTR || error == ECONNABORTED) continue;
      if (error == EAGAIN || error == EWOULDBLOCK) return std::nullopt;
      return fail(Errc::io_error, "a connection cannot be accepted: {}", errno_text(error));
    }
#ifndef __linux__
    ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
    ESCRIBANO_CHECK(set_nonblocking(fd));
#endif
#ifdef SO_NOSIGPIPE
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    return std::optional<FileDescriptor>(std::move(fd));
  }
}

Result<FileDescriptor> connect_unix(const std::filesystem::path& path) {
  ESCRIBANO_TRY(const sockaddr_un address, address_of(path));
  const auto end = Clock::now() + kBacklogPatience;
  while (true) {
    ESCRIBANO_TRY(FileDescriptor fd, make_socket());
    switch (const int error = try_connect(fd, address); error) {
      case 0:
      case EINPROGRESS: return fd;
      case EAGAIN:
        if (Clock::now() >= end)
          return fail(Errc::bridge_unavailable, "{}: the listener takes no more connections", printable(path));
        std::this_thread::sleep_for(kPause);
        break;
      case ECONNREFUSED:
      case ENOTSOCK: return fail(Errc::bridge_unavailable, "{}: nobody listens there", printable(path));
      default: return failed(path, "cannot be connected to", error);
    }
  }
}

Status remove_dead_socket(const std::filesystem::path& path) {
  ESCRIBANO_TRY(const sockaddr_un address, address_of(path));
  // Without the lock first: where nothing is there, no lock file flickers either.
  ESCRIBANO_TRY(Occupant occupant, occupant_of(path, address));
  if (occupant != Occupant::dead_socket) return {};
  ESCRIBANO_TRY(const FileLock lock, lock_for(path));
  ESCRIBANO_TRY(occupant, occupant_of(path, address));
  if (occupant == Occupant::dead_socket && ::unlink(path.c_str()) != 0 && errno != ENOENT)
    return failed(path, "the dead socket cannot be removed", errno);
  return {};
}

bool peer_is_same_user(const FileDescriptor& socket) {
#ifdef __linux__
  ucred credentials = {};
  socklen_t size = sizeof credentials;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 &&
         credentials.uid == ::geteuid();
#else
  uid_t user = 0;
  gid_t group = 0;
  return ::getpeereid(socket.get(), &user, &group) == 0 && user == ::geteuid();
#endif
}

Result<std::size_t> send_some(const FileDescriptor& socket, std::string_view bytes) {
#ifdef MSG_NOSIGNAL
  constexpr int kFlags = MSG_NOSIGNAL;
#else
  constexpr int kFlags = 0;  // SO_NOSIGPIPE is set instead
#endif
  while (true) {
    const ssize_t sent = ::send(socket.get(), bytes.data(), bytes.size(), kFlags);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::size_t{0};
    return fail(Errc::io_error, "the other side of the connection is gone: {}", errno_text(errno));
  }
}

}  // namespace escribano
