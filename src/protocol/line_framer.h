#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace escribano::protocol {

// The longest line either side may send.
inline constexpr std::size_t kMaxLineBytes = 8U << 20;

// Cuts a stream of bytes into lines at '\n'. A '\r' before it and empty lines are dropped. Bytes are not looked at
// otherwise: a character cut between two reads is whole again before anyone decodes it. Whoever takes all lines there are
// after each append() holds about one unfinished line and one read in memory. Not thread-safe.
class LineFramer {
 public:
  explicit LineFramer(std::size_t max_line_bytes = kMaxLineBytes) : max_line_bytes_(max_line_bytes) {}

  void append(std::string_view bytes);

  // The next complete line, valid until the next call of either function; nullopt while there is none. Fails with
  // too_large, now and ever after, once a line (with its '\r') is longer than allowed, complete or not; lines before it
  // are given out first. How the bytes were cut into reads makes no difference.
  Result<std::optional<std::string_view>> next();

 private:
  std::size_t max_line_bytes_;
  std::string buffer_;
  std::size_t begin_ = 0;    // of the first line not given out
  std::size_t scanned_ = 0;  // no '\n' in [begin_, scanned_)
  bool failed_ = false;
};

}  // namespace escribano::protocol
