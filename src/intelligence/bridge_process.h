#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "base/error.h"
#include "base/subprocess.h"
#include "base/wake_pipe.h"
#include "protocol/answer.h"

namespace escribano {

// A bridge that we started. A thread of its own reads what it prints as long as it lives: a bridge whose output nobody
// reads would stand still. Not thread-safe.
class BridgeProcess {
 public:
  static Result<std::unique_ptr<BridgeProcess>> start(const SubprocessOptions& options);
  BridgeProcess(const BridgeProcess&) = delete;
  BridgeProcess& operator=(const BridgeProcess&) = delete;
  // Kills what still runs.
  ~BridgeProcess();

  pid_t pid() const noexcept { return child_.pid(); }
  // Its ready or fatal line, once it has come.
  std::optional<protocol::Announcement> announcement() const;
  // How it ended ("was killed by signal 9"), once it has. Waits `patience` for that.
  std::optional<std::string> ended(std::chrono::milliseconds patience = std::chrono::milliseconds(0));
  // What it said last on standard error, for a message: "; its last words: ..."; empty where it said nothing. Of a
  // process that has ended, all that it wrote is seen.
  std::string last_words();

  // SIGTERM, `grace`, SIGKILL.
  void stop(std::chrono::milliseconds grace) { child_.stop(grace); }
  // Lets it live on; its pipes are closed.
  void leave();

 private:
  BridgeProcess(Subprocess child, WakePipe wake);
  void read_output();
  void take_out(std::string_view bytes);
  void take_err(std::string_view bytes);
  void take_rest();
  void finish_reading();

  Subprocess child_;
  const WakePipe wake_;
  // Of the thread alone.
  FileDescriptor out_;
  FileDescriptor err_;
  std::string out_line_;
  std::string err_line_;

  mutable std::mutex mutex_;
  std::optional<protocol::Announcement> announcement_;  // guarded by mutex_, like what follows
  std::deque<std::string> words_;

  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace escribano
