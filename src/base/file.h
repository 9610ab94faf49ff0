#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace escribano {

// Owns one POSIX file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) noexcept : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

// A file name as it can be shown in a message or put into JSON: bytes that are not UTF-8 become U+FFFD.
std::string printable(const std::filesystem::path& path);

// The whole of a regular file. Fails with not_found, not_permitted, unsupported (a directory, a device), too_large (more
// than `limit_bytes`, checked before anything is allocated) or io_error; the message names the file. Blocks.
Result<std::vector<std::byte>> read_file(const std::filesystem::path& path, std::uint64_t limit_bytes);
// The same as text; the bytes are not checked to be UTF-8.
Result<std::string> read_text_file(const std::filesystem::path& path, std::uint64_t limit_bytes);

// Writes `content` to a temporary file beside `path`, syncs it and renames it over `path`: a reader sees the old or the
// new file, never a half. Blocks.
Status write_file_atomically(const std::filesystem::path& path, std::string_view content);

// A regular file mapped read-only. Pages are read when touched, so mapping costs no memory. The file must not be
// truncated while mapped. Movable; the span stays valid as long as the object lives.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const noexcept { return {static_cast<const std::byte*>(data_), size_}; }
  // Tells the kernel that the pages of [offset, offset + length) are not needed again soon, so that streaming through a
  // large file keeps resident memory flat.
  void drop(std::size_t offset, std::size_t length) const noexcept;

 private:
  MappedFile(void* data, std::size_t size) noexcept : data_(data), size_(size) {}
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace escribano
