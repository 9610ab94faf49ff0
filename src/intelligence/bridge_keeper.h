#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/error.h"
#include "base/file_lock.h"
#include "intelligence/bridge_client.h"
#include "intelligence/bridge_connection.h"
#include "intelligence/bridge_process.h"
#include "intelligence/call_limits.h"

namespace escribano {

// Which bridge is at the other end, so that what was learnt about one is not believed of its successor.
struct BridgeIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  std::int64_t changed_ns = 0;

  friend bool operator==(const BridgeIdentity&, const BridgeIdentity&) = default;
};

struct JoinedBridge {
  BridgeConnection connection;
  BridgeIdentity identity;
  pid_t started_pid = -1;  // of the bridge that we started and joined; -1 for one that ran already
};

// Joins the bridge at a socket, starts it where there is none, and ends it. Any threads.
//
// Nobody owns a start: whoever needs the bridge looks how far it is, under the mutex, and waits a little, in the terms of
// its own call. So a call that is given up leaves the start to the others and to the next call.
class BridgeKeeper {
 public:
  explicit BridgeKeeper(BridgeClientOptions options);
  BridgeKeeper(const BridgeKeeper&) = delete;
  BridgeKeeper& operator=(const BridgeKeeper&) = delete;
  // Ends the bridge that was started here.
  ~BridgeKeeper();

  // A new connection. Fails with bridge_unavailable, not_permitted (the socket is another user's), invalid_argument (its
  // path) or as `limits`.
  Result<JoinedBridge> join(const CallLimits& limits);

  // A request to `bridge` was answered.
  void worked();
  // The bridge went away while it answered: `error`, with what is known about its end.
  Error died(pid_t started_pid, Error error);

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase {
    none,      // no process of ours
    starting,  // process_ runs, and has not said that it is ready
    running,   // it has said so
    yielding,  // it said that another one runs already: that one will soon be there to join
  };
  // What one call has waited for.
  struct Waiting {
    std::uint64_t start = 0;                      // the number of a start, see starts_; 0: none
    std::optional<Clock::time_point> lock_until;  // so long another process may hold the start lock
  };

  Result<std::optional<JoinedBridge>> try_to_join();
  Result<std::optional<FileDescriptor>> try_candidates(const std::filesystem::path& announced,
                                                       BridgeIdentity& identity) const;
  // One look at how far things are, and the next thing to do. With the mutex held.
  Status step(Waiting& waiting);
  void look_at_start();
  void look_at_running(const Waiting& waiting);
  Status try_start(Waiting& waiting);
  Status launch(FileLock lock);
  void end_start(Error error);
  void forget_process(bool death);
  std::filesystem::path start_lock_path() const;
  void remove_dead_load_locks() const;
  std::string sockets() const;
  bool left_in_use();

  const BridgeClientOptions options_;
  const std::vector<std::filesystem::path> candidates_;  // sockets, likeliest first

  std::mutex mutex_;
  Phase phase_ = Phase::none;               // guarded by mutex_, like what follows
  std::unique_ptr<BridgeProcess> process_;  // starting and running
  std::optional<FileLock> start_lock_;      // starting and yielding
  std::filesystem::path announced_socket_;
  Clock::time_point since_;             // of the phase
  std::uint64_t starts_ = 0;            // so far
  std::optional<Error> start_failure_;  // of start number starts_
  int deaths_ = 0;                      // in a row
  Clock::time_point last_death_;
  pid_t last_dead_ = -1;
  std::string last_end_;  // how that one ended
};

}  // namespace escribano
