#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <stop_token>
#include <string>

#include "base/error.h"
#include "base/file.h"

namespace escribano::recording {

// The file of a recording: opened once, as a file and nothing else, whatever its name looks like. Every reader uses the same
// descriptor with offsets of its own.
class MediaFile {
 public:
  // Fails with not_found, not_permitted, unsupported (a folder, a device), corrupt (empty), io_error, or overloaded where
  // another process has it open for writing, as far as the system can tell.
  static Result<MediaFile> open(const std::filesystem::path& path);

  // As shown in messages.
  const std::string& name() const noexcept { return name_; }
  const std::filesystem::path& path() const noexcept { return path_; }
  std::uint64_t bytes() const noexcept { return bytes_; }

  // Bytes read into `out`, 0 at the end or where it lies beyond. Never more than were there at open().
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) const;

  // Fails with overloaded where the file has changed since open().
  Status check_unchanged() const;

  // 32 hexadecimal digits of the whole content (XXH3-128). Memory does not grow with the file. Fails with io_error,
  // overloaded (it changed meanwhile) or cancelled.
  Result<std::string> content_id(const std::stop_token& stop) const;

 private:
  MediaFile() = default;

  FileDescriptor fd_;
  std::filesystem::path path_;
  std::string name_;
  std::uint64_t bytes_ = 0;
  std::int64_t modified_s_ = 0;
  std::int64_t modified_ns_ = 0;
};

}  // namespace escribano::recording
