#pragma once

#include "base/error.h"
#include "base/file.h"

namespace escribano {

// Wakes a thread that sleeps in poll(). Any thread (and a signal handler) may wake; one thread polls and drains.
class WakePipe {
 public:
  static Result<WakePipe> make();

  void wake() const noexcept;   // never blocks; async-signal-safe
  void drain() const noexcept;  // after poll() said that fd() can be read
  int fd() const noexcept { return read_.get(); }

 private:
  FileDescriptor read_;
  FileDescriptor write_;
};

}  // namespace escribano
