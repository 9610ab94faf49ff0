#include "base/file.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/posix.h"
#include "base/utf8.h"

namespace escribano {
namespace {

struct OpenFile {
  FileDescriptor fd;
  std::uint64_t size = 0;
};

Result<OpenFile> open_regular(const std::filesystem::path& path) {
  // O_NONBLOCK so that a named pipe does not hang the caller before fstat can refuse it.
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    const int error = errno;
    return fail(errc_of(error), "{}: {}", printable(path), errno_text(error));
  }
  struct stat info = {};
  if (::fstat(fd.get(), &info) != 0) return fail(Errc::io_error, "{}: {}", printable(path), errno_text(errno));
  if (S_ISDIR(info.st_mode)) return fail(Errc::unsupported, "{} is a directory, not a file", printable(path));
  if (!S_ISREG(info.st_mode)) return fail(Errc::unsupported, "{} is not a regular file", printable(path));
  return OpenFile{std::move(fd), static_cast<std::uint64_t>(info.st_size)};
}

template <class Container>
Result<Container> read_whole(const std::filesystem::path& path, std::uint64_t limit_bytes) {
  ESCRIBANO_TRY(OpenFile file, open_regular(path));
  if (file.size > limit_bytes) {
    return fail(Errc::too_large, "{} has {} bytes; the limit is {}", printable(path), file.size, limit_bytes);
  }
  Container content(static_cast<std::size_t>(file.size), typename Container::value_type{});
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t got = ::read(file.fd.get(), content.data() + done, content.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(Errc::io_error, "{}: {}", printable(path), errno_text(errno));
    if (got == 0) break;  // truncated since fstat: what is there is the file
    done += static_cast<std::size_t>(got);
  }
  content.resize(done);
  return content;
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) reset(other.release());
  return *this;
}

void FileDescriptor::reset(int fd) noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

std::string printable(const std::filesystem::path& path) { return to_valid_utf8(path.native()); }

Result<std::vector<std::byte>> read_file(const std::filesystem::path& path, std::uint64_t limit_bytes) {
  return read_whole<std::vector<std::byte>>(path, limit_bytes);
}

Result<std::string> read_text_file(const std::filesystem::path& path, std::uint64_t limit_bytes) {
  return read_whole<std::string>(path, limit_bytes);
}

Status write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  std::string pattern = path.native() + ".XXXXXX";
  FileDescriptor fd(::mkostemp(pattern.data(), O_CLOEXEC));
  if (!fd) return fail(errc_of(errno), "{}: cannot be written: {}", printable(path), errno_text(errno));
  const auto give_up = [&](int error) {
    ::unlink(pattern.c_str());
    return fail(errc_of(error), "{}: cannot be written: {}", printable(path), errno_text(error));
  };
  while (!content.empty()) {
    const ssize_t put = ::write(fd.get(), content.data(), content.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return give_up(errno);
    content.remove_prefix(static_cast<std::size_t>(put));
  }
  if (::fchmod(fd.get(), 0644) != 0 || ::fsync(fd.get()) != 0) return give_up(errno);
  if (::rename(pattern.c_str(), path.c_str()) != 0) return give_up(errno);
  return {};
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  ESCRIBANO_TRY(OpenFile file, open_regular(path));
  if (file.size == 0) return MappedFile(nullptr, 0);
  const auto size = static_cast<std::size_t>(file.size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd.get(), 0);
  if (data == MAP_FAILED) return fail(Errc::io_error, "{}: cannot be mapped: {}", printable(path), errno_text(errno));
  return MappedFile(data, size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

void MappedFile::drop(std::size_t offset, std::size_t length) const noexcept {
  if (data_ == nullptr || offset >= size_) return;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t from = offset / page * page;
  const std::size_t end = std::min(size_, offset + length);
  if (end > from) ::madvise(static_cast<std::byte*>(data_) + from, end - from, MADV_DONTNEED);
}

}  // namespace escribano
