#include "support/bridge_peer.h"

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <thread>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace escribano {

using Clock = std::chrono::steady_clock;

BridgePeer::BridgePeer(const std::filesystem::path& socket)
    : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (socket.native().size() >= sizeof address.sun_path) throw std::runtime_error("the socket's path is too long");
  std::memcpy(address.sun_path, socket.c_str(), socket.native().size());
  if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error(socket.native() + ": " + std::strerror(errno));
  }
}

bool BridgePeer::send_bytes(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

void BridgePeer::end_input() { ::shutdown(socket_.get(), SHUT_WR); }

std::string BridgePeer::line(std::chrono::milliseconds deadline) {
  const auto until = Clock::now() + deadline;
  while (true) {
    if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
      std::string text = received_.substr(0, end);
      received_.erase(0, end + 1);
      return text;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd poll = {.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (left <= 0 || ::poll(&poll, 1, static_cast<int>(left)) == 0) throw std::runtime_error("no answer in time");
    char buffer[65536];
    const ssize_t got = ::read(socket_.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw std::runtime_error("the bridge closed the connection");
    received_.append(buffer, static_cast<std::size_t>(got));
  }
}

std::vector<nlohmann::json> BridgePeer::answers(const nlohmann::json& request) {
  if (!send(request)) throw std::runtime_error("the bridge closed the connection");
  std::vector<nlohmann::json> all;
  do {
    all.push_back(answer(deadline_));
    if (all.back().at("id") != request.at("id")) throw std::runtime_error("an answer to another: " + all.back().dump());
  } while (!all.back().value("done", false));
  return all;
}

bool BridgePeer::closed(std::chrono::milliseconds deadline) {
  const auto until = Clock::now() + deadline;
  while (Clock::now() < until) {
    pollfd poll = {.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&poll, 1, 20) == 0) continue;
    char buffer[65536];
    const ssize_t got = ::read(socket_.get(), buffer, sizeof buffer);
    if (got == 0 || (got < 0 && errno != EINTR)) return true;
  }
  return false;
}

bool eventually_true(const std::function<bool()>& done, std::chrono::milliseconds deadline) {
  const auto until = Clock::now() + deadline;
  while (!done()) {
    if (Clock::now() >= until) return false;
    std::this_thread::yield();
    ::poll(nullptr, 0, 2);
  }
  return true;
}

}  // namespace escribano
