#include "intelligence/bridge_process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <utility>

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/log.h"
#include "base/utf8.h"

namespace escribano {
namespace {

constexpr std::size_t kWordsKept = 20;
constexpr std::size_t kWordsShown = 3;
// Longer lines of output are cut: a bridge that never ends its line must not fill our memory.
constexpr std::size_t kLongestLine = 16384;
constexpr int kRoundsAfterWake = 100;  // a pipe holds four

// Reads once. False at the end.
template <class Take>
bool pump(const FileDescriptor& fd, const Take& take) {
  std::array<char, 16384> bytes;
  const ssize_t got = ::read(fd.get(), bytes.data(), bytes.size());
  if (got > 0) take(std::string_view(bytes.data(), static_cast<std::size_t>(got)));
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

// Adds bytes to a line that is not complete yet; calls `take` for each that now is.
template <class Take>
void cut_lines(std::string& line, std::string_view bytes, const Take& take) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    line.append(part.substr(0, kLongestLine - std::min(kLongestLine, line.size())));
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    if (line.ends_with('\r')) line.pop_back();
    take(std::exchange(line, {}));
  }
}

}  // namespace

Result<std::unique_ptr<BridgeProcess>> BridgeProcess::start(const SubprocessOptions& options) {
  ESCRIBANO_TRY(WakePipe wake, WakePipe::make());
  ESCRIBANO_TRY(Subprocess child, Subprocess::start(options));
  return std::unique_ptr<BridgeProcess>(new BridgeProcess(std::move(child), std::move(wake)));
}

BridgeProcess::BridgeProcess(Subprocess child, WakePipe wake)
    : child_(std::move(child)), wake_(std::move(wake)), out_(std::move(child_.out)), err_(std::move(child_.err)) {
  thread_ = std::jthread([this] { read_output(); });
}

BridgeProcess::~BridgeProcess() { finish_reading(); }

void BridgeProcess::read_output() {
  std::array<pollfd, 3> entries = {{{.fd = wake_.fd(), .events = POLLIN, .revents = 0},
                                    {.fd = out_.get(), .events = POLLIN, .revents = 0},
                                    {.fd = err_.get(), .events = POLLIN, .revents = 0}}};
  int rounds_after_wake = 0;
  while (entries[1].fd >= 0 || entries[2].fd >= 0) {
    for (pollfd& entry : entries) entry.revents = 0;
    if (::poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) break;
    if (entries[1].revents != 0 && !pump(out_, [this](std::string_view bytes) { take_out(bytes); })) entries[1].fd = -1;
    if (entries[2].revents != 0 && !pump(err_, [this](std::string_view bytes) { take_err(bytes); })) entries[2].fd = -1;
    // What a process wrote before it ended is read to the last byte, unless something that it started goes on writing.
    if (entries[0].revents == 0) continue;
    if ((entries[1].revents == 0 && entries[2].revents == 0) || ++rounds_after_wake > kRoundsAfterWake) break;
  }
  take_rest();
  out_.reset();
  err_.reset();
}

void BridgeProcess::take_out(std::string_view bytes) {
  cut_lines(out_line_, bytes, [this](const std::string& line) {
    auto announcement = protocol::decode_announcement(line);
    if (!announcement) {
      log::debug("bridge {} printed: {}", pid(), to_valid_utf8(line));
      return;
    }
    const std::lock_guard lock(mutex_);
    if (!announcement_) announcement_ = *std::move(announcement);
  });
}

void BridgeProcess::take_err(std::string_view bytes) {
  cut_lines(err_line_, bytes, [this](const std::string& line) {
    std::string text = to_valid_utf8(line);
    log::debug("bridge {}: {}", pid(), text);
    const std::lock_guard lock(mutex_);
    words_.push_back(std::move(text));
    if (words_.size() > kWordsKept) words_.pop_front();
  });
}

// Last lines whose end never came.
void BridgeProcess::take_rest() {
  if (!out_line_.empty()) take_out("\n");
  if (!err_line_.empty()) take_err("\n");
}

void BridgeProcess::finish_reading() {
  if (!thread_.joinable()) return;
  wake_.wake();
  thread_.join();
}

std::optional<protocol::Announcement> BridgeProcess::announcement() const {
  const std::lock_guard lock(mutex_);
  return announcement_;
}

std::optional<std::string> BridgeProcess::ended(std::chrono::milliseconds patience) {
  child_.wait(patience);
  std::optional<std::string> how = child_.ended();
  if (how) finish_reading();
  return how;
}

std::string BridgeProcess::last_words() {
  const std::lock_guard lock(mutex_);
  std::string text;
  const std::size_t first = words_.size() - std::min(words_.size(), kWordsShown);
  for (std::size_t i = first; i < words_.size(); ++i) text += (text.empty() ? "" : " / ") + words_[i];
  return text.empty() ? text : fmt::format("; its last words: {}", text);
}

void BridgeProcess::leave() {
  finish_reading();
  child_.leave();
}

}  // namespace escribano
