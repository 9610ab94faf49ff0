#pragma once

#include <functional>
#include <initializer_list>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace escribano {

// Tells a thread of its own about signals, where any code may run. Each signal is caught once: the next one of the same
// kind has its default effect, so a second Ctrl-C ends a process that hangs. One watcher at a time in a process.
class SignalWatcher {
 public:
  // `on_signal` is called with the signal's number on the watcher's thread.
  static Result<SignalWatcher> start(std::initializer_list<int> signals, std::function<void(int)> on_signal);
  SignalWatcher(SignalWatcher&&) = default;
  SignalWatcher& operator=(SignalWatcher&&) = delete;
  // Restores the default effect of the signals and joins the thread.
  ~SignalWatcher();

 private:
  SignalWatcher(std::initializer_list<int> signals, FileDescriptor write_end, std::jthread thread);
  std::vector<int> signals_;
  FileDescriptor write_end_;
  std::jthread thread_;
};

}  // namespace escribano
