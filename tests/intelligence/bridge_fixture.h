#pragma once

// A folder with a socket, pictures and a bridge of tests/intelligence/fixtures.

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "intelligence/bridge_client.h"
#include "support/own_resources.h"
#include "support/temp_folder.h"

namespace escribano {

inline constexpr std::chrono::seconds kPatience{100};

std::string fixture_script(int generation);

// Looks after each test that nothing is left: no child, descriptor, thread, socket or lock.
class BridgeTest : public testing::Test {
 protected:
  void TearDown() override;

  // Starts a bridge of that generation.
  BridgeClientOptions options(int generation, const std::string& faults = "");
  std::unique_ptr<IntelligenceService> client(int generation, const std::string& faults = "") {
    return make_bridge_client(options(generation, faults));
  }
  static DescribeOptions patient();

  // New files, each with bytes of its own.
  std::vector<Frame> frames(int count);
  static std::string expected_text(const Frame& frame, int generation);
  static void expect_described(const std::vector<FrameResult>& results, const std::vector<Frame>& frames,
                               int generation);

  std::filesystem::path socket() const { return folder_.path() / "bridge.sock"; }
  std::vector<std::string> lines_of(const char* name) const;
  std::size_t starts() const { return lines_of("starts").size(); }
  std::vector<std::string> requests() const { return lines_of("requests"); }
  pid_t last_started() const;

  TempFolder folder_;

 private:
  OwnResources resources_;
  int pictures_ = 0;
};

// Waits until a condition holds. False when the patience is over.
template <class Condition>
bool eventually(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    struct timespec pause = {.tv_sec = 0, .tv_nsec = 2'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return true;
}

}  // namespace escribano
