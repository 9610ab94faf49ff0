#include "support/own_resources.h"

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <string>
#include <system_error>
#include <thread>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace escribano {
namespace {

constexpr const char* kDescriptors = "/dev/fd";
constexpr const char* kThreads = "/proc/self/task";  // there are none elsewhere than on Linux

std::ptrdiff_t entries_of(const char* folder) {
  std::error_code missing;
  std::filesystem::directory_iterator entries(folder, missing);
  return missing ? 0 : std::distance(begin(entries), end(entries));
}

// A thread that was joined has ended, but is listed for a moment longer.
template <class Condition>
bool soon(const Condition& condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    ::poll(nullptr, 0, 1);
  }
  return true;
}

// ThreadSanitizer starts a thread of its own with the first one.
void run_first_thread() {
#ifdef __linux__
  std::string first;
  std::thread([&] { first = std::to_string(::gettid()); }).join();
  EXPECT_TRUE(soon([&] { return !std::filesystem::exists(std::filesystem::path(kThreads) / first); }));
#endif
}

}  // namespace

OwnResources::OwnResources() {
  run_first_thread();
  descriptors_ = entries_of(kDescriptors);
  threads_ = entries_of(kThreads);
}

void OwnResources::expect_unchanged() const {
  int status = 0;
  EXPECT_EQ(::waitpid(-1, &status, WNOHANG), -1) << "a child is left";
  EXPECT_EQ(errno, ECHILD);
  EXPECT_EQ(entries_of(kDescriptors), descriptors_) << "a descriptor is left";
  EXPECT_TRUE(soon([&] { return entries_of(kThreads) == threads_; }))
      << "a thread is left: " << entries_of(kThreads) << ", and there were " << threads_;
}

}  // namespace escribano
