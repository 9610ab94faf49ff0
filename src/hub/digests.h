#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "base/error.h"

namespace escribano::hub {

struct FileDigests {
  std::string sha256;    // 64 lower-case hexadecimal digits
  std::string git_sha1;  // of "blob SIZE\0" and the content, as git names it; 40 digits
  std::uint64_t size = 0;
};

// Reads a file once. `progress` is told of the bytes that were just read and stops it by returning false (cancelled). A link
// is not followed. Fails with what opening and reading say. Blocks.
Result<FileDigests> digests_of(const std::filesystem::path& path, const std::function<bool(std::uint64_t)>& progress);

}  // namespace escribano::hub
