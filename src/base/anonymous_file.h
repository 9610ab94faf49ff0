#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace escribano {

// Bytes that other processes of the same user can open by a path as long as this object lives. In memory where the system has
// a way (Linux), never on a disk then; elsewhere a file of mode 0600 in the folder for temporary files. Gone with the object,
// and on Linux also with the process, however that ends.
class AnonymousFile {
 public:
  // `name` appears in listings of open files only. Fails with io_error or out_of_memory.
  static Result<AnonymousFile> create(std::string_view name, std::span<const std::byte> content);
  AnonymousFile(AnonymousFile&& other) noexcept;
  AnonymousFile& operator=(AnonymousFile&& other) noexcept;
  AnonymousFile(const AnonymousFile&) = delete;
  AnonymousFile& operator=(const AnonymousFile&) = delete;
  ~AnonymousFile();

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  AnonymousFile(FileDescriptor fd, std::filesystem::path path, bool linked) noexcept;
  FileDescriptor fd_;
  std::filesystem::path path_;
  bool linked_ = false;  // there is a file at `path_` to be removed
};

}  // namespace escribano
