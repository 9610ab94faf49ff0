#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/error.h"
#include "base/file.h"

namespace escribano {

struct SubprocessOptions {
  std::vector<std::string> arguments;              // arguments[0] is the program, looked up in PATH
  std::map<std::string, std::string> environment;  // on top of this process's
};

// A child process with pipes at its standard streams. Its other descriptors are closed, its signals are as by default,
// and it leads a process group of its own, so that Ctrl-C in the terminal reaches the parent alone. Movable; not
// thread-safe but for pid().
class Subprocess {
 public:
  // Fails with not_found, not_permitted or io_error, also where exec itself fails, and with invalid_argument for no
  // arguments. Blocks until exec has succeeded.
  static Result<Subprocess> start(const SubprocessOptions& options);
  Subprocess(Subprocess&&) noexcept;
  Subprocess& operator=(Subprocess&&) noexcept;
  // Kills and reaps what still runs: no zombie is left, and nobody waits for long. Only the child itself is killed, not
  // what it started.
  ~Subprocess();

  pid_t pid() const noexcept { return pid_; }
  // Our ends; close-on-exec, `out` and `err` non-blocking. May be moved from.
  FileDescriptor in;
  FileDescriptor out;
  FileDescriptor err;

  // "exited with status 3", "was killed by signal 9": once it has ended, and from then on. Never blocks.
  std::optional<std::string> ended();
  // Waits until it has ended. False when the time is over.
  bool wait(std::chrono::milliseconds timeout);
  // SIGTERM, `grace` to end, SIGKILL; then it is reaped.
  void stop(std::chrono::milliseconds grace);
  // Lets it live on without us. Our ends of its pipes are closed. Should it end before we do, a later start() or leave()
  // reaps it.
  void leave();

 private:
  Subprocess() = default;
  void kill_and_reap() noexcept;
  pid_t pid_ = -1;  // -1: moved from, or left
  bool reaped_ = false;
  int wait_status_ = 0;
};

}  // namespace escribano
