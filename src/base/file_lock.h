#pragma once

#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/file.h"

namespace escribano {

// What one process at a time may do, guarded by a lock on a file of its own. The file is made for the purpose, has mode
// 0600 and is removed when the lock is given back; one that a killed process left behind is taken over.
class FileLock {
 public:
  // Never blocks. nullopt while someone else (another object of this process included) holds it. Fails with not_found,
  // not_permitted or io_error.
  static Result<std::optional<FileLock>> try_lock(const std::filesystem::path& path);

  FileLock(FileLock&&) noexcept = default;
  FileLock& operator=(FileLock&&) = delete;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  FileLock(std::filesystem::path path, FileDescriptor fd);
  std::filesystem::path path_;
  FileDescriptor fd_;
};

}  // namespace escribano
