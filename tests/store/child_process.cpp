#include "store/child_process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <stdexcept>

#include <sys/wait.h>
#include <unistd.h>

namespace escribano {

ChildProcess::ChildProcess(const std::function<int(int output)>& work) {
  std::array<int, 2> ends = {};
  if (::pipe(ends.data()) != 0) throw std::runtime_error("no pipe");
  output_.reset(ends[0]);
  FileDescriptor theirs(ends[1]);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("no process");
  if (pid_ == 0) {
    output_.reset();
    ::_exit(work(theirs.get()));
  }
}

ChildProcess::~ChildProcess() {
  kill();
  (void)wait();
}

void ChildProcess::kill() {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

bool ChildProcess::read_byte(char& byte) {
  while (true) {
    const ssize_t got = ::read(output_.get(), &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    return got == 1;
  }
}

std::string ChildProcess::read_all() {
  std::string text;
  for (char byte = 0; read_byte(byte);) text += byte;
  return text;
}

int ChildProcess::wait() {
  if (pid_ < 0) return -1;
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace escribano
