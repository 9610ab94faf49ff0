#include "base/file_lock.h"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/posix.h"

namespace escribano {
namespace {

// Whether `fd` is still what `path` names: the holder before us may have removed the file between open() and flock().
bool is_still_named(const std::filesystem::path& path, const FileDescriptor& fd) {
  struct stat named = {};
  struct stat opened = {};
  return ::lstat(path.c_str(), &named) == 0 && ::fstat(fd.get(), &opened) == 0 && named.st_dev == opened.st_dev &&
         named.st_ino == opened.st_ino;
}

}  // namespace

FileLock::FileLock(std::filesystem::path path, FileDescriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}

FileLock::~FileLock() {
  // Removed while it is still locked: whoever locks it next sees that the name is gone and starts over.
  if (fd_) ::unlink(path_.c_str());
}

Result<std::optional<FileLock>> FileLock::try_lock(const std::filesystem::path& path) {
  while (true) {
    FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) {
      const int error = errno;
      if (error == EINTR) continue;
      return fail(errc_of(error), "{}: cannot be locked: {}", printable(path), errno_text(error));
    }
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      if (error == EINTR) continue;
      if (error == EWOULDBLOCK) return std::nullopt;
      return fail(Errc::io_error, "{}: cannot be locked: {}", printable(path), errno_text(error));
    }
    if (is_still_named(path, fd)) return FileLock(path, std::move(fd));
  }
}

}  // namespace escribano
