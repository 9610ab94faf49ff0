#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "bridge/dispatcher.h"
#include "protocol/line_framer.h"

namespace escribano::bridge {

// One client's socket: bytes in as lines, lines out as bytes. Never blocks. Loop thread only.
class Connection {
 public:
  // A client that does not read is given up once that much waits for it.
  static constexpr std::size_t kMaxWaitingBytes = 16U << 20;

  Connection(ClientId id, FileDescriptor socket) : id_(id), socket_(std::move(socket)) {}

  ClientId id() const noexcept { return id_; }
  int fd() const noexcept { return socket_.get(); }

  // Takes what has arrived, at most one read's worth, so that a client that never stops sending has no more than its turn.
  void receive();
  // The next line received, valid until the next call; nullopt while there is none. Fails once a line is too long.
  Result<std::optional<std::string_view>> next_line() { return framer_.next(); }
  bool wants_input() const noexcept { return !input_ended_ && !broken_; }

  // Queues a line and sends what the socket takes.
  void send(std::string_view line);
  void flush();
  std::size_t waiting_bytes() const noexcept { return outbox_.size() - sent_; }

  // Nothing more is understood or said: what waits is still sent, what arrives is thrown away until the client closes or
  // `deadline` passes. (Closing at once would take the last answer from a client that is still sending.)
  void linger(TimePoint deadline) { linger_until_ = deadline; }
  bool lingers() const noexcept { return linger_until_.has_value(); }
  std::optional<TimePoint> linger_until() const noexcept { return linger_until_; }

  // The client said that it will send no more; it may still read.
  bool input_ended() const noexcept { return input_ended_; }
  // The socket is gone, or the client was given up.
  bool broken() const noexcept { return broken_; }
  void mark_broken() noexcept { broken_ = true; }
  bool overflowed() const noexcept { return overflowed_; }

 private:
  ClientId id_;
  FileDescriptor socket_;
  protocol::LineFramer framer_;
  std::string outbox_;
  std::size_t sent_ = 0;  // of outbox_
  std::optional<TimePoint> linger_until_;
  bool input_ended_ = false;
  bool write_closed_ = false;
  bool broken_ = false;
  bool overflowed_ = false;
};

}  // namespace escribano::bridge
