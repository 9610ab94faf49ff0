#include "support/run_command.h"

#include <array>
#include <csignal>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

extern char** environ;

namespace escribano {
namespace {

struct Pipe {
  FileDescriptor read_end;
  FileDescriptor write_end;

  Pipe() {
    int fds[2];
    if (::pipe(fds) != 0) throw std::runtime_error("no pipe");
    for (const int fd : fds) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    read_end.reset(fds[0]);
    write_end.reset(fds[1]);
  }
};

std::vector<std::string> environment_for(const CommandOptions& options) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string name(text.substr(0, text.find('=')));
    if (!name.starts_with("ESCRIBANO_") && !options.environment.contains(name)) environment.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment) environment.push_back(name + "=" + value);
  return environment;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

pid_t spawn(std::vector<std::string> arguments, const CommandOptions& options, const Pipe& out, const Pipe& err) {
  std::vector<std::string> environment = environment_for(options);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out.write_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.write_end.get(), STDERR_FILENO);
  pid_t pid = 0;
  const int status = ::posix_spawn(&pid, arguments.front().c_str(), &actions, nullptr, pointers(arguments).data(),
                                   pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (status != 0) throw std::runtime_error(arguments.front() + ": " + std::strerror(status));
  return pid;
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& arguments, const CommandOptions& options) {
  Pipe out;
  Pipe err;
  const pid_t pid = spawn(arguments, options, out, err);
  out.write_end.reset();
  err.write_end.reset();
  const auto end = std::chrono::steady_clock::now() + options.deadline;
  CommandResult result;
  std::array<pollfd, 2> fds = {{{.fd = out.read_end.get(), .events = POLLIN, .revents = 0},
                                {.fd = err.read_end.get(), .events = POLLIN, .revents = 0}}};
  std::string* const sinks[] = {&result.out, &result.err};
  int open = 2;
  while (open > 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0 || ::poll(fds.data(), fds.size(), static_cast<int>(left.count())) == 0) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
      throw std::runtime_error("did not end in time: " + arguments.front() + "\n" + result.err);
    }
    for (std::size_t i = 0; i < fds.size(); ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      char buffer[65536];
      const ssize_t got = ::read(fds[i].fd, buffer, sizeof buffer);
      if (got <= 0) {
        fds[i].fd = -1;
        --open;
        continue;
      }
      const bool first = i == 0 && result.out.empty();
      sinks[i]->append(buffer, static_cast<std::size_t>(got));
      if (first && options.on_first_output) options.on_first_output(pid);
    }
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

std::string escribano_program() { return ESCRIBANO_BINARY_DIR "/bin/escribano"; }

}  // namespace escribano
