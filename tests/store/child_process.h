#pragma once

#include <functional>
#include <string>

#include <sys/types.h>

#include "base/file.h"

namespace escribano {

// A forked copy of this process that runs `work` and ends with its status, without destructors or the rest of the tests.
// Its end of `output` is handed to `work`; a second descriptor of ours reads from it. Killed, if it still runs, and reaped.
class ChildProcess {
 public:
  explicit ChildProcess(const std::function<int(int output)>& work);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  void kill();
  std::string read_all();      // what it writes until it ends
  bool read_byte(char& byte);  // false at its end
  int wait();                  // its exit status, or -1 where a signal ended it

 private:
  pid_t pid_ = -1;
  FileDescriptor output_;
};

}  // namespace escribano
