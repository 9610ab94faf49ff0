#include "bridge/server.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/unix_socket.h"

namespace escribano::bridge {
namespace {

using protocol::Answer;
using std::chrono::milliseconds;

// What a stop may take: answers are still written, to whoever reads them.
constexpr milliseconds kStopGrace{1000};
constexpr milliseconds kLinger{2000};
constexpr milliseconds kAcceptPause{200};

TimePoint now() { return std::chrono::steady_clock::now(); }

std::pair<std::uint64_t, std::uint64_t> identity_of(const std::filesystem::path& path) {
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0) return {0, 0};
  return {static_cast<std::uint64_t>(info.st_dev), static_cast<std::uint64_t>(info.st_ino)};
}

std::uint64_t resident_bytes() {
#ifdef __linux__
  if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
    unsigned long long total = 0;
    unsigned long long resident = 0;
    const int got = std::fscanf(file, "%llu %llu", &total, &resident);
    std::fclose(file);
    if (got == 2) return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
#endif
  return 0;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, ModelLoader loader,
                                              std::optional<LoadedModel> model) {
  ESCRIBANO_TRY(WakePipe wake, WakePipe::make());
  ESCRIBANO_TRY(FileDescriptor listener, listen_unix(options.socket_path));
  std::unique_ptr<Server> server(new Server(std::move(options), std::move(listener), std::move(wake)));
  server->dispatcher_ = std::make_unique<Dispatcher>(
      server->options_.dispatcher, std::move(loader),
      [self = server.get()](ClientId client, const Answer& answer) { self->send(client, answer); },
      [self = server.get()] { self->wake_.wake(); });
  if (model) server->dispatcher_->adopt(*std::move(model));
  return server;
}

Server::Server(ServerOptions options, FileDescriptor listener, WakePipe wake)
    : options_(std::move(options)),
      listener_(std::move(listener)),
      wake_(std::move(wake)),
      socket_identity_(identity_of(options_.socket_path)),
      lifeline_ended_(options_.lifeline_fd < 0),
      last_client_at_(now()),
      started_at_(now()) {}

Server::~Server() {
  dispatcher_.reset();  // its threads wake us until they are joined
  remove_socket();
}

void Server::stop() noexcept {
  stop_requested_.store(true);
  wake_.wake();
}

void Server::run() {
  while (!stopping_ || !stop_is_complete()) {
    poll_once();
    dispatcher_->process_events();
    dispatcher_->run_timers();
    drop_gone();
    if (!stopping_ && is_done_serving()) begin_stop();
  }
  connections_.clear();
}

bool Server::is_done_serving() {
  if (stop_requested_.load()) return true;
  if (!connections_.empty()) {
    last_client_at_ = now();
    return false;
  }
  const bool idle = options_.idle_exit.count() > 0 && now() - last_client_at_ >= options_.idle_exit;
  const bool abandoned = options_.lifeline_fd >= 0 && lifeline_ended_;
  if (!idle && !abandoned) return false;
  accept_clients();  // one may have come in the meantime
  return connections_.empty();
}

void Server::begin_stop() {
  log::info("stopping with {} clients", connections_.size());
  stopping_ = true;
  stop_at_ = now() + kStopGrace;
  remove_socket();
  listener_.reset();
  dispatcher_->stop();
}

bool Server::stop_is_complete() const {
  if (now() >= stop_at_) return true;
  if (dispatcher_->has_work()) return false;
  return std::all_of(connections_.begin(), connections_.end(),
                     [](const auto& entry) { return entry.second.waiting_bytes() == 0; });
}

void Server::remove_socket() {
  if (listener_ && identity_of(options_.socket_path) == socket_identity_) ::unlink(options_.socket_path.c_str());
}

int Server::poll_timeout_ms() const {
  std::optional<TimePoint> next = dispatcher_->next_timer();
  const auto consider = [&](TimePoint at) { next = next ? std::min(*next, at) : at; };
  if (stopping_) consider(stop_at_);
  if (accept_again_at_ > now()) consider(accept_again_at_);
  if (options_.idle_exit.count() > 0 && connections_.empty()) consider(last_client_at_ + options_.idle_exit);
  for (const auto& [id, connection] : connections_) {
    if (connection.lingers()) consider(*connection.linger_until());
  }
  if (!next) return -1;
  // Rounded up: waking a fraction too early would be one turn for nothing after another.
  const auto wait = std::chrono::ceil<milliseconds>(*next - now()).count();
  return static_cast<int>(std::clamp<long long>(wait, 0, INT_MAX));
}

void Server::poll_once() {
  polled_.clear();
  polled_.push_back({.fd = wake_.fd(), .events = POLLIN, .revents = 0});
  const bool accepts = !stopping_ && accept_again_at_ <= now();
  polled_.push_back({.fd = accepts ? listener_.get() : -1, .events = POLLIN, .revents = 0});
  polled_.push_back({.fd = lifeline_ended_ ? -1 : options_.lifeline_fd, .events = POLLIN, .revents = 0});
  std::vector<Connection*> of_slot;
  for (auto& [id, connection] : connections_) {
    short events = 0;
    if (connection.wants_input()) events |= POLLIN;
    if (connection.waiting_bytes() > 0) events |= POLLOUT;
    polled_.push_back({.fd = connection.fd(), .events = events, .revents = 0});
    of_slot.push_back(&connection);
  }
  if (::poll(polled_.data(), polled_.size(), poll_timeout_ms()) < 0) return;  // interrupted; the loop comes back
  if (polled_[0].revents != 0) wake_.drain();
  if (polled_[2].revents != 0) {
    char byte = 0;
    const ssize_t got = ::read(options_.lifeline_fd, &byte, 1);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) lifeline_ended_ = true;
  }
  for (std::size_t i = 0; i < of_slot.size(); ++i) {
    const short events = polled_[i + 3].revents;
    Connection& connection = *of_slot[i];
    if ((events & POLLOUT) != 0) connection.flush();
    if ((events & POLLIN) != 0) serve(connection);
    // Both directions are closed: nobody waits for answers any more. (Half-closed is no hang-up.)
    if ((events & (POLLHUP | POLLERR | POLLNVAL)) != 0 && (events & POLLIN) == 0) connection.mark_broken();
  }
  if (polled_[1].revents != 0) accept_clients();
}

void Server::accept_clients() {
  while (listener_) {
    auto accepted = accept_unix(listener_);
    if (!accepted) {
      log::warn("{}", accepted.error().message);
      accept_again_at_ = now() + kAcceptPause;
      return;
    }
    if (!*accepted) return;
    FileDescriptor socket = **std::move(accepted);
    if (!peer_is_same_user(socket)) {
      log::warn("a client of another user was refused");
      continue;
    }
    const ClientId id = ++last_client_;
    Connection& connection = connections_.try_emplace(id, id, std::move(socket)).first->second;
    if (connections_.size() > static_cast<std::size_t>(options_.max_clients)) {
      connection.send(encode(Answer{"null", protocol::ErrorAnswer{{Errc::overloaded, "too many clients"}}}));
      connection.linger(now() + kLinger);
      connection.flush();
    }
  }
}

void Server::serve(Connection& connection) {
  connection.receive();
  while (!connection.lingers() && !connection.broken()) {
    const auto line = connection.next_line();
    if (!line) {
      connection.send(encode(Answer{"null", protocol::ErrorAnswer{line.error()}}));
      connection.linger(now() + kLinger);
      connection.flush();
      dispatcher_->client_gone(connection.id());
      return;
    }
    if (!line->has_value()) return;
    auto request = protocol::decode_request(**line);
    if (!request) {
      connection.send(encode(Answer{std::move(request.error().id), protocol::ErrorAnswer{request.error().error}}));
      continue;
    }
    handle(connection, *std::move(request), (*line)->size());
  }
}

void Server::handle(Connection& connection, protocol::Request request, std::size_t line_bytes) {
  if (std::holds_alternative<protocol::Ping>(request.method)) {
    connection.send(encode(Answer{std::move(request.id), protocol::PongAnswer{}}));
  } else if (std::holds_alternative<protocol::StatusQuery>(request.method)) {
    connection.send(encode(Answer{std::move(request.id), status()}));
  } else if (const auto* shutdown = std::get_if<protocol::Shutdown>(&request.method)) {
    shut_down(connection, request, shutdown->only_if_unused);
  } else {
    dispatcher_->handle(connection.id(), std::move(request), line_bytes);
  }
}

void Server::shut_down(Connection& connection, const protocol::Request& request, bool only_if_unused) {
  if (only_if_unused) {
    accept_clients();  // one that has connected already is a user too
    if (connections_.size() > 1) {
      connection.send(encode(Answer{request.id, protocol::StatusWordAnswer{"in_use"}}));
      return;
    }
  }
  connection.send(encode(Answer{request.id, protocol::StatusWordAnswer{"shutting_down"}}));
  stop_requested_.store(true);
}

protocol::BridgeStatus Server::status() const {
  protocol::BridgeStatus status = dispatcher_->status();
  status.clients = static_cast<int>(connections_.size());
  status.resident_bytes = resident_bytes();
  status.uptime_s = std::chrono::duration<double>(now() - started_at_).count();
  status.pid = ::getpid();
  return status;
}

void Server::send(ClientId client, const Answer& answer) {
  if (const auto found = connections_.find(client); found != connections_.end()) found->second.send(encode(answer));
}

void Server::drop_gone() {
  for (auto at = connections_.begin(); at != connections_.end();) {
    Connection& connection = at->second;
    const bool all_said = connection.waiting_bytes() == 0 && !dispatcher_->has_work(connection.id());
    const bool gone = connection.broken() || (connection.input_ended() && all_said) ||
                      (connection.lingers() && *connection.linger_until() <= now());
    if (!gone) {
      ++at;
      continue;
    }
    if (connection.overflowed()) log::warn("a client that does not read was dropped");
    dispatcher_->client_gone(connection.id());
    at = connections_.erase(at);
  }
}

}  // namespace escribano::bridge
