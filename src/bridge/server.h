#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <poll.h>

#include "base/error.h"
#include "base/file.h"
#include "base/wake_pipe.h"
#include "bridge/connection.h"
#include "bridge/dispatcher.h"

namespace escribano::bridge {

struct ServerOptions {
  std::filesystem::path socket_path;
  DispatcherOptions dispatcher;
  std::chrono::milliseconds idle_exit{0};  // without clients for that long, run() returns; 0: never
  int lifeline_fd = -1;                    // once it is at its end and no client is left, run() returns; -1: none
  int max_clients = 200;
};

// The daemon's loop: one thread that owns the listening socket, all connections and all timers. It never waits for the
// model or for a client.
class Server {
 public:
  // Listens. `model` is what was loaded beforehand; without one the first request loads it. Fails as listen_unix.
  static Result<std::unique_ptr<Server>> start(ServerOptions options, ModelLoader loader,
                                               std::optional<LoadedModel> model);
  // Removes the socket, unless that was done or it is another's by now.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves until stop(), `shutdown`, idle exit or the end of the lifeline. Then nobody is accepted any more, what runs is
  // cancelled and answered, and the socket is removed: within about a second, whatever the clients do.
  void run();
  // Any thread.
  void stop() noexcept;
  // After run(): whether a load could not be interrupted, so that destroying this object waits for it.
  bool is_loading() const noexcept { return dispatcher_->is_loading(); }

 private:
  Server(ServerOptions options, FileDescriptor listener, WakePipe wake);
  void accept_clients();
  void poll_once();
  void serve(Connection& connection);
  void handle(Connection& connection, protocol::Request request, std::size_t line_bytes);
  void shut_down(Connection& connection, const protocol::Request& request, bool only_if_unused);
  protocol::BridgeStatus status() const;
  void send(ClientId client, const protocol::Answer& answer);
  void drop_gone();
  void begin_stop();
  bool stop_is_complete() const;
  void remove_socket();
  int poll_timeout_ms() const;
  bool is_done_serving();

  const ServerOptions options_;
  FileDescriptor listener_;
  WakePipe wake_;
  std::pair<std::uint64_t, std::uint64_t> socket_identity_;  // device and inode, to remove only what is ours
  std::atomic<bool> stop_requested_ = false;
  bool stopping_ = false;
  TimePoint stop_at_;          // when run() returns at the latest
  TimePoint accept_again_at_;  // accepting pauses when descriptors run out
  bool lifeline_ended_ = false;
  TimePoint last_client_at_;
  TimePoint started_at_;
  ClientId last_client_ = 0;
  std::map<ClientId, Connection> connections_;
  std::vector<pollfd> polled_;
  std::unique_ptr<Dispatcher> dispatcher_;
};

}  // namespace escribano::bridge
