#include "bridge/connection.h"

#include <array>
#include <cerrno>

#include <sys/socket.h>
#include <unistd.h>

#include "base/unix_socket.h"

namespace escribano::bridge {
namespace {

constexpr std::size_t kReadBytes = 64U << 10;
// Sent bytes are cut off the front of the outbox in pieces of this size, so that cutting stays cheap.
constexpr std::size_t kCompactBytes = 1U << 20;

}  // namespace

void Connection::receive() {
  std::array<char, kReadBytes> buffer;
  ssize_t got = 0;
  do {
    got = ::read(socket_.get(), buffer.data(), buffer.size());
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    if (!lingers()) framer_.append({buffer.data(), static_cast<std::size_t>(got)});
  } else if (got == 0) {
    input_ended_ = true;
  } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
    broken_ = true;
  }
}

void Connection::send(std::string_view line) {
  if (broken_ || lingers()) return;
  outbox_ += line;
  flush();
  if (waiting_bytes() > kMaxWaitingBytes) {
    overflowed_ = true;
    broken_ = true;
  }
}

void Connection::flush() {
  while (waiting_bytes() > 0 && !broken_) {
    const auto put = send_some(socket_, std::string_view(outbox_).substr(sent_));
    if (!put) {
      broken_ = true;
      return;
    }
    if (*put == 0) break;
    sent_ += *put;
  }
  if (sent_ == outbox_.size()) {
    outbox_.clear();
    sent_ = 0;
  } else if (sent_ > kCompactBytes) {
    outbox_.erase(0, sent_);
    sent_ = 0;
  }
  if (lingers() && waiting_bytes() == 0 && !write_closed_) {
    write_closed_ = true;
    ::shutdown(socket_.get(), SHUT_WR);
  }
}

}  // namespace escribano::bridge
