#include "base/subprocess.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#include <fmt/format.h>

#include "base/posix.h"

#ifndef __linux__
extern char** environ;  // POSIX leaves it to the program to declare it
#endif

namespace escribano {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";
constexpr int kErrorFd = STDERR_FILENO + 1;  // in the child, until exec

std::vector<std::string> merged_environment(const std::map<std::string, std::string>& changes) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!changes.contains(std::string(text.substr(0, text.find('='))))) result.emplace_back(text);
  }
  for (const auto& [name, value] : changes) result.push_back(fmt::format("{}={}", name, value));
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (std::string& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

bool is_program(const std::string& path) {
  struct stat info = {};
  return ::access(path.c_str(), X_OK) == 0 && ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

// As execvp looks; here and not there because execvp may allocate, and so must not run between fork and exec.
Result<std::string> find_program(const std::string& name, const std::vector<std::string>& environment) {
  if (name.find('/') != std::string::npos) return name;  // exec says what is wrong with it
  std::string_view rest = kDefaultPath;
  for (const std::string& entry : environment) {
    if (entry.starts_with("PATH=")) rest = std::string_view(entry).substr(5);
  }
  while (true) {
    const std::size_t end = rest.find(':');
    const std::string_view folder = rest.substr(0, end);
    std::string candidate = folder.empty() ? name : fmt::format("{}/{}", folder, name);
    if (!name.empty() && is_program(candidate)) return candidate;
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return fail(Errc::not_found, "{}: no such program in PATH", printable(name));
}

// What the child needs, made before fork: after it only async-signal-safe calls are allowed, as another thread may have
// held any lock.
struct Launch {
  const char* program;
  char* const* arguments;
  char* const* environment;
  int in;
  int out;
  int err;
  int error;  // where errno goes if exec fails
  int descriptor_limit;
};

void close_others(const Launch& launch) {
#if defined(__linux__) && defined(SYS_close_range)
  if (::syscall(SYS_close_range, kErrorFd + 1, ~0U, 0) == 0) return;
#endif
  for (int fd = kErrorFd + 1; fd < launch.descriptor_limit; ++fd) ::close(fd);
}

void reset_signals() {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &action, nullptr);  // fails for two; as they are
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void run_child(const Launch& launch) {
  ::setpgid(0, 0);
  const bool placed = ::dup2(launch.in, STDIN_FILENO) >= 0 && ::dup2(launch.out, STDOUT_FILENO) >= 0 &&
                      ::dup2(launch.err, STDERR_FILENO) >= 0 && ::dup2(launch.error, kErrorFd) >= 0 &&
                      ::fcntl(kErrorFd, F_SETFD, FD_CLOEXEC) == 0;
  if (placed) {
    close_others(launch);
    reset_signals();
    ::execve(launch.program, launch.arguments, launch.environment);
  }
  const int error = errno;
  [[maybe_unused]] const ssize_t put = ::write(placed ? kErrorFd : launch.error, &error, sizeof error);
  ::_exit(127);
}

// fork() with all signals blocked, so that no handler of ours runs in the child.
pid_t fork_child(const Launch& launch) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) run_child(launch);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

int descriptor_limit() {
  constexpr long kMost = 65536;  // the limit may be "none"
  const long limit = ::sysconf(_SC_OPEN_MAX);
  return static_cast<int>(limit < 0 ? kMost : std::min(limit, kMost));
}

// waitpid without its interruptions: the pid, 0 (it runs), or -1 (it is not ours any more).
pid_t wait_for(pid_t pid, int& status, int flags) {
  while (true) {
    const pid_t got = ::waitpid(pid, &status, flags);
    if (got >= 0 || errno != EINTR) return got;
  }
}

// 0, or the errno with which exec failed.
int exec_error(const FileDescriptor& read_end) {
  int error = 0;
  while (true) {
    const ssize_t got = ::read(read_end.get(), &error, sizeof error);
    if (got < 0 && errno == EINTR) continue;
    return got == sizeof error ? error : 0;
  }
}

// Children that were left, and may have ended since.
class Left {
 public:
  void add(pid_t pid) {
    const std::lock_guard lock(mutex_);
    pids_.push_back(pid);
  }
  void reap() {
    const std::lock_guard lock(mutex_);
    int ignored = 0;
    std::erase_if(pids_, [&](pid_t pid) { return wait_for(pid, ignored, WNOHANG) != 0; });
  }

 private:
  std::mutex mutex_;
  std::vector<pid_t> pids_;  // guarded by mutex_
};

Left& left() {
  static Left instance;
  return instance;
}

}  // namespace

Result<Subprocess> Subprocess::start(const SubprocessOptions& options) {
  left().reap();
  if (options.arguments.empty()) return fail(Errc::invalid_argument, "no program was named");
  std::vector<std::string> arguments = options.arguments;
  std::vector<std::string> environment = merged_environment(options.environment);
  ESCRIBANO_TRY(const std::string program, find_program(arguments.front(), environment));
  ESCRIBANO_TRY(Pipe in, make_pipe());
  ESCRIBANO_TRY(Pipe out, make_pipe());
  ESCRIBANO_TRY(Pipe err, make_pipe());
  ESCRIBANO_TRY(Pipe error, make_pipe());
  ESCRIBANO_CHECK(set_nonblocking(out.read_end));
  ESCRIBANO_CHECK(set_nonblocking(err.read_end));
  const std::vector<char*> argument_pointers = pointers(arguments);
  const std::vector<char*> environment_pointers = pointers(environment);
  const Launch launch = {.program = program.c_str(),
                         .arguments = argument_pointers.data(),
                         .environment = environment_pointers.data(),
                         .in = in.read_end.get(),
                         .out = out.write_end.get(),
                         .err = err.write_end.get(),
                         .error = error.write_end.get(),
                         .descriptor_limit = descriptor_limit()};
  Subprocess child;
  child.pid_ = fork_child(launch);
  if (child.pid_ < 0) return fail(Errc::io_error, "no process can be started: {}", errno_text(errno));
  ::setpgid(child.pid_, child.pid_);  // here too: a signal to the group must not come before the child has run
  error.write_end.reset();
  if (const int failure = exec_error(error.read_end); failure != 0) {
    return fail(errc_of(failure), "{} cannot be run: {}", printable(program), errno_text(failure));
  }
  child.in = std::move(in.write_end);
  child.out = std::move(out.read_end);
  child.err = std::move(err.read_end);
  return child;
}

Subprocess::Subprocess(Subprocess&& other) noexcept
    : in(std::move(other.in)),
      out(std::move(other.out)),
      err(std::move(other.err)),
      pid_(std::exchange(other.pid_, -1)),
      reaped_(other.reaped_),
      wait_status_(other.wait_status_) {}

Subprocess& Subprocess::operator=(Subprocess&& other) noexcept {
  if (this == &other) return *this;
  kill_and_reap();
  in = std::move(other.in);
  out = std::move(other.out);
  err = std::move(other.err);
  pid_ = std::exchange(other.pid_, -1);
  reaped_ = other.reaped_;
  wait_status_ = other.wait_status_;
  return *this;
}

Subprocess::~Subprocess() { kill_and_reap(); }

void Subprocess::kill_and_reap() noexcept {
  if (pid_ <= 0 || reaped_) return;
  // Not reaped, so the number is still the child's and nobody else's.
  ::kill(pid_, SIGKILL);
  wait_for(pid_, wait_status_, 0);
  reaped_ = true;
}

std::optional<std::string> Subprocess::ended() {
  if (pid_ <= 0) return std::nullopt;
  if (!reaped_) {
    const pid_t got = wait_for(pid_, wait_status_, WNOHANG);
    if (got == 0) return std::nullopt;
    reaped_ = true;
  }
  if (WIFSIGNALED(wait_status_)) return fmt::format("was killed by signal {}", WTERMSIG(wait_status_));
  return fmt::format("exited with status {}", WEXITSTATUS(wait_status_));
}

bool Subprocess::wait(std::chrono::milliseconds timeout) {
  constexpr std::chrono::milliseconds kLongestPause{20};
  const auto end = Clock::now() + timeout;
  std::chrono::milliseconds pause{1};
  while (!ended()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) return false;
    std::this_thread::sleep_for(std::min(pause, left));
    pause = std::min(pause * 2, kLongestPause);
  }
  return true;
}

void Subprocess::stop(std::chrono::milliseconds grace) {
  if (pid_ <= 0 || ended()) return;
  ::kill(pid_, SIGTERM);
  if (!wait(grace)) kill_and_reap();
}

void Subprocess::leave() {
  in.reset();
  out.reset();
  err.reset();
  if (pid_ > 0 && !reaped_) left().add(pid_);
  pid_ = -1;
  left().reap();
}

}  // namespace escribano
