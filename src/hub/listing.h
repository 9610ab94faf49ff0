#pragma once

// What the hub answers about a repository. Nothing in it is believed: it may come from anyone.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace escribano::hub {

struct RemoteFile {
  std::string path;        // in the repository, with '/' between its parts
  std::uint64_t size = 0;  // bytes
  std::string sha256;      // of large files; 64 lower-case hexadecimal digits
  std::string git_sha1;    // of the others: that of "blob SIZE\0" and the content; 40 digits

  friend bool operator==(const RemoteFile&, const RemoteFile&) = default;
};

// Beyond these no repository is looked at.
inline constexpr std::size_t kMaxListedFiles = 20'000;
inline constexpr std::uint64_t kMaxFileBytes = 1ULL << 40;

// The commit that {endpoint}/api/models/{repository}/revision/{revision} answers with: 40 to 64 lower-case hexadecimal digits.
// Fails with protocol_error. Pure.
Result<std::string> parse_commit(std::string_view text);

// Appends the files on one page of {endpoint}/api/models/{repository}/tree/{commit}. Fails with protocol_error where it is no
// such page or has a path that leads elsewhere (check_path), and with too_large beyond the limits above. Pure.
Status append_listing(std::string_view text, std::vector<RemoteFile>& files);

// The URL with rel="next" in a Link header; empty where there is none. Pure.
std::string next_link(std::string_view header);

// That a path stays inside the folder it is appended to, on every system: relative, no empty part, no "." or "..", no
// backslash, colon or control character, valid UTF-8. Fails with protocol_error. Pure.
Status check_path(std::string_view path);

// That `name`, one part of a checked path, can be the name of a file: not longer than 200 bytes, no name of a device, nothing
// that our own files are called. Fails with protocol_error. Pure.
Status check_file_name(std::string_view name);

}  // namespace escribano::hub
