#include "protocol/line_framer.h"

namespace escribano::protocol {
namespace {

// Above this an emptied buffer is given back: one long line must not cost its memory for as long as the peer stays.
constexpr std::size_t kKeptBytes = 64U << 10;

}  // namespace

void LineFramer::append(std::string_view bytes) {
  if (failed_) return;
  // Only where no more is moved than was given out, so that all moving together is linear in what came.
  if (begin_ >= buffer_.size() - begin_) {
    buffer_.erase(0, begin_);
    scanned_ -= begin_;
    begin_ = 0;
    if (buffer_.empty() && buffer_.capacity() > kKeptBytes) buffer_ = {};
  }
  buffer_.append(bytes);
}

Result<std::optional<std::string_view>> LineFramer::next() {
  while (!failed_) {
    const std::size_t end = buffer_.find('\n', scanned_);
    const bool complete = end != std::string::npos;
    std::string_view line = std::string_view(buffer_).substr(begin_, complete ? end - begin_ : std::string::npos);
    if (line.size() > max_line_bytes_) break;
    if (!complete) {
      scanned_ = buffer_.size();
      return std::nullopt;
    }
    begin_ = scanned_ = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) return line;
  }
  failed_ = true;
  buffer_ = {};
  begin_ = scanned_ = 0;
  return fail(Errc::too_large, "a line is longer than {} bytes", max_line_bytes_);
}

}  // namespace escribano::protocol
