#include "intelligence/bridge_connection.h"

#include <array>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include <sys/socket.h>

#include "base/posix.h"
#include "base/unix_socket.h"

namespace escribano {

using protocol::DecodedAnswer;

Status BridgeConnection::send(protocol::Request request, const CallLimits& limits) {
  request.id = std::to_string(++id_);
  ESCRIBANO_TRY(const std::string line, protocol::encode_checked(request));
  std::string_view rest = line;
  while (!rest.empty()) {
    ESCRIBANO_TRY(const short ready, limits.wait_for(socket_.get(), POLLIN | POLLOUT));
    // What comes meanwhile is taken: a bridge that waits for us to read would not go on reading.
    if ((ready & POLLIN) != 0 && !closed_) {
      ESCRIBANO_TRY(const bool open, read_some());
      closed_ = !open;
    }
    auto sent = send_some(socket_, rest);
    if (!sent) return fail(Errc::bridge_died, "the bridge closed the connection before the request was sent");
    rest.remove_prefix(*sent);
  }
  return {};
}

Result<bool> BridgeConnection::read_some() {
  std::array<char, 65536> bytes;
  while (true) {
    const ssize_t got = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (got > 0) {
      heard_ = true;
      framer_.append(std::string_view(bytes.data(), static_cast<std::size_t>(got)));
      return true;
    }
    if (got == 0 || errno == ECONNRESET) return false;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return true;
    if (errno != EINTR) return fail(Errc::bridge_died, "the connection to the bridge broke: {}", errno_text(errno));
  }
}

Result<DecodedAnswer> BridgeConnection::receive(const CallLimits& limits) {
  while (true) {
    ESCRIBANO_CHECK(limits.check());
    auto line = framer_.next();
    if (!line) return fail(Errc::protocol_error, "the bridge sent nonsense: {}", line.error().message);
    if (*line) {
      auto decoded = protocol::decode_answer(**line);
      if (!decoded) return fail(Errc::protocol_error, "the bridge sent nonsense: {}", decoded.error().message);
      // A line that a bridge could not read has no id to answer to.
      const bool unreadable =
          decoded->answer.id == "null" && std::holds_alternative<protocol::ErrorAnswer>(decoded->answer.body);
      if (decoded->answer.id == std::to_string(id_) || unreadable) return decoded;
      return fail(Errc::protocol_error, "the bridge answered request {}, which was not asked on this connection",
                  decoded->answer.id);
    }
    if (closed_) return fail(Errc::bridge_died, "the bridge closed the connection before its answer was complete");
    ESCRIBANO_TRY([[maybe_unused]] const short ready, limits.wait_for(socket_.get(), POLLIN));
    ESCRIBANO_TRY(const bool open, read_some());
    closed_ = !open;
  }
}

Result<DecodedAnswer> BridgeConnection::ask(protocol::Request request, const CallLimits& limits) {
  ESCRIBANO_CHECK(send(std::move(request), limits));
  ESCRIBANO_TRY(DecodedAnswer decoded, receive(limits));
  if (const auto* error = std::get_if<protocol::ErrorAnswer>(&decoded.answer.body)) return fail(error->error);
  return decoded;
}

Result<protocol::TextAnswer> BridgeConnection::ask_text(protocol::Infer request, const CallLimits& limits) {
  ESCRIBANO_TRY(DecodedAnswer decoded, ask({.method = std::move(request)}, limits));
  if (auto* text = std::get_if<protocol::TextAnswer>(&decoded.answer.body)) return std::move(*text);
  return fail(Errc::protocol_error, "the bridge answered a conversation with something that is no text");
}

}  // namespace escribano
