#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/file.h"
#include "support/temp_folder.h"

namespace escribano {

// A server that a test talks to, as a child process: killed and reaped with the object, and (where the system can) with
// the test. Start it on the main thread.
class ServerProcess {
 public:
  // Starts a program, looked up in PATH, and waits until its output (both streams) has `sign` with a number right behind
  // it: the port it listens on. Throws std::runtime_error with the output if that does not happen in time.
  ServerProcess(std::vector<std::string> arguments, const std::string& sign,
                std::chrono::seconds patience = std::chrono::seconds(60));
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess() { kill(); }

  int port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // SIGKILL, as a crash would be. Returns once it is gone.
  void kill();
  std::string output() const;

 private:
  TempFolder folder_;
  FileDescriptor input_;  // our end of its standard input, which ends with us
  pid_t pid_ = -1;
  int port_ = 0;
};

// A port of 127.0.0.1 on which nobody listens, and nobody will while this object lives.
class ClosedPort {
 public:
  ClosedPort();
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  FileDescriptor socket_;
  int port_ = 0;
};

// How many descriptors this process has open.
int open_descriptors();

}  // namespace escribano
