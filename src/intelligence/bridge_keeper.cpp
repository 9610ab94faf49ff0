#include "intelligence/bridge_keeper.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include <sys/stat.h>

#include <fmt/format.h>

#include "base/log.h"
#include "base/unix_socket.h"
#include "protocol/socket_path.h"

namespace escribano {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPause{10};             // between two looks
constexpr milliseconds kListenPatience{3000};  // from a ready line to a socket that answers
constexpr milliseconds kEndPatience{500};      // from a closed connection to the end of the process
constexpr milliseconds kShutdownPatience{2000};

// Where a bridge may listen, likeliest first. One of the first generation knows no modes and listens at the plain path.
std::vector<std::filesystem::path> candidates_for(const BridgeClientOptions& options) {
  const std::filesystem::path own = protocol::bridge_socket_path(options.socket_path, options.mode);
  if (options.mode == protocol::Mode::llm) return {own};
  const bool told_mode = std::any_of(options.command.begin(), options.command.end(), [](const std::string& argument) {
    return argument == "--mode" || argument.starts_with("--mode=");
  });
  if (options.foreign && !told_mode) return {options.socket_path, own};
  return {own, options.socket_path};
}

milliseconds default_restart_delay(int deaths) {
  constexpr std::array<int, 8> kDelays_ms = {0, 500, 1000, 2000, 4000, 8000, 16000, 30000};
  return milliseconds(kDelays_ms[std::min<std::size_t>(static_cast<std::size_t>(deaths - 1), kDelays_ms.size() - 1)]);
}

BridgeIdentity identity_of(const std::filesystem::path& socket) {
  struct stat info = {};
  if (::lstat(socket.c_str(), &info) != 0) return {};
#ifdef __APPLE__
  const timespec changed = info.st_ctimespec;
#else
  const timespec changed = info.st_ctim;
#endif
  return {info.st_dev, info.st_ino, static_cast<std::int64_t>(changed.tv_sec) * 1'000'000'000 + changed.tv_nsec};
}

}  // namespace

BridgeKeeper::BridgeKeeper(BridgeClientOptions options)
    : options_(std::move(options)), candidates_(candidates_for(options_)) {}

BridgeKeeper::~BridgeKeeper() {
  if (process_ && !process_->ended()) {
    if (phase_ == Phase::running && !options_.foreign && left_in_use()) {
      process_->leave();
    } else {
      process_->stop(options_.shutdown_grace);
    }
  }
  process_.reset();
  start_lock_.reset();
  if (starts_ == 0) return;
  for (const auto& socket : candidates_) {
    if (const Status removed = remove_dead_socket(socket); !removed) log::debug("{}", removed.error().message);
  }
  remove_dead_load_locks();
}

// What a bridge that was killed while it loaded has left. Under the start lock, so that none that another client starts
// meets a lock of ours and gives way to nobody; whoever holds that lock has a bridge that takes the old file over.
void BridgeKeeper::remove_dead_load_locks() const {
  const auto start_lock = FileLock::try_lock(start_lock_path());
  if (!start_lock || !*start_lock) return;
  for (const auto& socket : candidates_) {
    const std::filesystem::path path = protocol::bridge_load_lock_path(socket);
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) continue;
    const auto load_lock = FileLock::try_lock(path);  // removed as it goes, unless a bridge loads
    if (!load_lock) log::debug("{}", load_lock.error().message);
  }
}

// Asks our bridge to end unless others use it. True where they do. Otherwise it has been given the time to end.
bool BridgeKeeper::left_in_use() {
  const auto limits = CallLimits::make(kShutdownPatience, {});
  if (!limits) return false;
  BridgeIdentity ignored;
  auto socket = try_candidates(announced_socket_, ignored);
  if (!socket || !*socket) return false;
  BridgeConnection connection(std::move(**socket));
  const auto answer = connection.ask({.method = protocol::Shutdown{.only_if_unused = true}}, **limits);
  if (!answer) return false;
  const auto* word = std::get_if<protocol::StatusWordAnswer>(&answer->answer.body);
  if (word == nullptr) return false;
  if (word->word == "in_use") return true;
  if (word->word == "shutting_down") process_->ended(options_.shutdown_grace);
  return false;
}

Result<JoinedBridge> BridgeKeeper::join(const CallLimits& limits) {
  Waiting waiting;
  while (true) {
    ESCRIBANO_TRY(std::optional<JoinedBridge> joined, try_to_join());
    if (joined) return *std::move(joined);
    {
      const std::lock_guard lock(mutex_);
      ESCRIBANO_CHECK(step(waiting));
    }
    ESCRIBANO_CHECK(limits.sleep(kPause));
  }
}

Result<std::optional<JoinedBridge>> BridgeKeeper::try_to_join() {
  std::filesystem::path announced;
  pid_t started_pid = -1;
  {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::starting) return std::nullopt;  // a bridge may listen before it can answer
    if (phase_ == Phase::running) {
      started_pid = process_->pid();
      announced = announced_socket_;
    }
  }
  BridgeIdentity identity;
  ESCRIBANO_TRY(std::optional<FileDescriptor> socket, try_candidates(announced, identity));
  if (!socket) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (phase_ == Phase::yielding) {
    phase_ = Phase::none;
    start_lock_.reset();
  }
  return JoinedBridge{BridgeConnection(*std::move(socket)), identity, started_pid};
}

// The first socket that answers; nullopt where none does.
Result<std::optional<FileDescriptor>> BridgeKeeper::try_candidates(const std::filesystem::path& announced,
                                                                   BridgeIdentity& identity) const {
  std::vector<std::filesystem::path> sockets = candidates_;
  if (!announced.empty()) sockets.insert(sockets.begin(), announced);
  for (const auto& path : sockets) {
    identity = identity_of(path);
    auto socket = connect_unix(path);
    if (socket && !peer_is_same_user(*socket)) {
      return fail(Errc::not_permitted, "the bridge at {} runs as another user", printable(path));
    }
    if (socket) return std::optional<FileDescriptor>(*std::move(socket));
    const Errc code = socket.error().code;
    if (code != Errc::not_found && code != Errc::bridge_unavailable) return fail(std::move(socket).error());
  }
  return std::nullopt;
}

Status BridgeKeeper::step(Waiting& waiting) {
  switch (phase_) {
    case Phase::starting:
      waiting.start = starts_;
      look_at_start();
      break;
    case Phase::running: look_at_running(waiting); break;
    case Phase::yielding:
      waiting.start = starts_;
      if (Clock::now() - since_ > options_.startup_timeout) {
        end_start({Errc::bridge_unavailable,
                   fmt::format("a bridge is said to run already, but none answers at {}", sockets())});
      }
      break;
    case Phase::none: break;
  }
  if (phase_ != Phase::none) return {};
  if (waiting.start != 0 && start_failure_) return fail(*start_failure_);
  return try_start(waiting);
}

void BridgeKeeper::look_at_start() {
  if (const auto announcement = process_->announcement()) {
    if (!announcement->fatal) {
      phase_ = Phase::running;
      since_ = Clock::now();
      announced_socket_ = announcement->socket;
      start_lock_.reset();
      log::info("bridge {} is ready: {}", process_->pid(), announcement->model);
    } else if (announcement->fatal->code == Errc::already_running) {
      process_->stop(kEndPatience);
      forget_process(false);
      phase_ = Phase::yielding;
    } else {
      process_->ended(kEndPatience);
      const bool says_code = announcement->fatal->code != Errc::backend_error;
      end_start({says_code ? announcement->fatal->code : Errc::bridge_unavailable,
                 fmt::format("the bridge could not start: {}", announcement->fatal->message)});
    }
    return;
  }
  if (const auto how = process_->ended()) {
    // Its thread has read everything by now: the line that explains the end may have been the last.
    if (process_->announcement()) return look_at_start();
    end_start(
        {Errc::bridge_unavailable, fmt::format("the bridge {} before it was ready{}", *how, process_->last_words())});
  } else if (Clock::now() - since_ > options_.startup_timeout) {
    end_start({Errc::bridge_unavailable,
               fmt::format("the bridge was not ready within {} s and was ended{}",
                           static_cast<double>(options_.startup_timeout.count()) / 1000, process_->last_words())});
  }
}

// Our bridge was ready once, and nobody answers at its socket.
void BridgeKeeper::look_at_running(const Waiting& waiting) {
  const auto how = process_->ended();
  if (!how && Clock::now() - since_ <= kListenPatience) return;
  if (!how) process_->stop(options_.shutdown_grace);
  // A call that has waited for this very start does not go on to another one: it might do so for ever.
  if (waiting.start == starts_) {
    start_failure_ = Error{Errc::bridge_unavailable,
                           how ? fmt::format("the bridge {} as soon as it was ready{}", *how, process_->last_words())
                               : fmt::format("the bridge said that it is ready, but nobody answers at {}", sockets())};
  }
  // One that found itself idle and ended well is no reason to wait before the next.
  forget_process(how != "exited with status 0");
}

Status BridgeKeeper::try_start(Waiting& waiting) {
  if (options_.command.empty()) return fail(Errc::bridge_unavailable, "no bridge answers at {}", sockets());
  if (deaths_ > 0) {
    const auto delay = options_.restart_delay ? options_.restart_delay(deaths_) : default_restart_delay(deaths_);
    if (Clock::now() < last_death_ + delay) return {};
  }
  auto lock = FileLock::try_lock(start_lock_path());
  if (!lock) return fail(Errc::bridge_unavailable, "no bridge can be started: {}", lock.error().message);
  if (!*lock) {
    if (!waiting.lock_until) waiting.lock_until = Clock::now() + options_.startup_timeout;
    if (Clock::now() < *waiting.lock_until) return {};
    return fail(Errc::bridge_unavailable, "another process has been starting a bridge for {} s, and none answers at {}",
                static_cast<double>(options_.startup_timeout.count()) / 1000, sockets());
  }
  // Whoever held the lock may have started one in the meantime; then the next look joins it.
  BridgeIdentity ignored;
  ESCRIBANO_TRY(const std::optional<FileDescriptor> socket, try_candidates({}, ignored));
  if (socket) return {};
  ESCRIBANO_CHECK(launch(std::move(**lock)));
  waiting.start = starts_;
  return {};
}

Status BridgeKeeper::launch(FileLock lock) {
  SubprocessOptions child = {.arguments = options_.command, .environment = options_.environment};
  child.environment["ESCRIBANO_MLX_SOCKET_PATH"] = options_.socket_path.native();
  auto process = BridgeProcess::start(child);
  if (!process) return fail(Errc::bridge_unavailable, "no bridge can be started: {}", process.error().message);
  process_ = *std::move(process);
  start_lock_.emplace(std::move(lock));
  phase_ = Phase::starting;
  since_ = Clock::now();
  ++starts_;
  start_failure_.reset();
  log::debug("bridge {} is starting: {}", process_->pid(), options_.command.front());
  return {};
}

void BridgeKeeper::end_start(Error error) {
  start_failure_ = std::move(error);
  if (process_) process_->stop(milliseconds(0));
  forget_process(true);
}

void BridgeKeeper::forget_process(bool death) {
  phase_ = Phase::none;
  process_.reset();
  start_lock_.reset();
  announced_socket_.clear();
  if (!death) return;
  ++deaths_;
  last_death_ = Clock::now();
}

void BridgeKeeper::worked() {
  const std::lock_guard lock(mutex_);
  deaths_ = 0;
}

Error BridgeKeeper::died(pid_t started_pid, Error error) {
  const std::lock_guard lock(mutex_);
  if (started_pid == -1) return error;
  if (process_ && process_->pid() == started_pid) {
    const auto how = process_->ended(kEndPatience);
    if (!how) return error;  // it lives, and only closed the connection
    last_dead_ = started_pid;
    last_end_ = fmt::format("the bridge {} during a request{}", *how, process_->last_words());
    forget_process(true);
  }
  // Several calls may have lost the same bridge.
  if (started_pid == last_dead_) error.message = last_end_;
  return error;
}

std::filesystem::path BridgeKeeper::start_lock_path() const { return candidates_.front().native() + ".start"; }

std::string BridgeKeeper::sockets() const {
  std::string text;
  for (const auto& socket : candidates_) text += (text.empty() ? "" : " or ") + printable(socket);
  return text;
}

}  // namespace escribano
