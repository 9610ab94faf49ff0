#include "base/anonymous_file.h"

#include <cerrno>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/posix.h"

namespace escribano {
namespace {

Status write_all(int fd, std::span<const std::byte> content, std::string_view name) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0) {
      const int error = errno;
      if (error == EINTR) continue;
      return fail(error == ENOMEM ? Errc::out_of_memory : Errc::io_error, "{}: {} bytes cannot be kept: {}", name,
                  content.size(), errno_text(error));
    }
    content = content.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Result<AnonymousFile> AnonymousFile::create(std::string_view name, std::span<const std::byte> content) {
#ifdef __linux__
  FileDescriptor fd(::memfd_create(std::string(name).c_str(), MFD_CLOEXEC));
  if (!fd) return fail(Errc::io_error, "{}: no memory file can be made: {}", name, errno_text(errno));
  std::filesystem::path path = fmt::format("/proc/{}/fd/{}", ::getpid(), fd.get());
  AnonymousFile file(std::move(fd), std::move(path), false);
#else
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  if (error) return fail(Errc::io_error, "there is no folder for temporary files: {}", error.message());
  std::string pattern = (folder / "escribano-XXXXXX").string();
  FileDescriptor fd(::mkstemp(pattern.data()));
  if (!fd) return fail(Errc::io_error, "{}: cannot be created: {}", pattern, errno_text(errno));
  AnonymousFile file(std::move(fd), pattern, true);
#endif
  ESCRIBANO_CHECK(write_all(file.fd_.get(), content, name));
  if (file.linked_) file.fd_.reset();  // its name is enough
  return file;
}

AnonymousFile::AnonymousFile(FileDescriptor fd, std::filesystem::path path, bool linked) noexcept
    : fd_(std::move(fd)), path_(std::move(path)), linked_(linked) {}

AnonymousFile::AnonymousFile(AnonymousFile&& other) noexcept
    : fd_(std::move(other.fd_)), path_(std::move(other.path_)), linked_(std::exchange(other.linked_, false)) {}

AnonymousFile& AnonymousFile::operator=(AnonymousFile&& other) noexcept {
  if (this != &other) {
    if (linked_) ::unlink(path_.c_str());
    fd_ = std::move(other.fd_);
    path_ = std::move(other.path_);
    linked_ = std::exchange(other.linked_, false);
  }
  return *this;
}

AnonymousFile::~AnonymousFile() {
  if (linked_) ::unlink(path_.c_str());
}

}  // namespace escribano
