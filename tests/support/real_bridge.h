#pragma once

// Our client and our bridge as they are, with the demo model: what a test with both of them has to set up, and to look
// after when it is over.

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/types.h>
#include <nlohmann/json.hpp>

#include "base/subprocess.h"
#include "domain/intelligence_service.h"
#include "intelligence/bridge_client.h"
#include "support/bridge_peer.h"
#include "support/own_resources.h"
#include "support/temp_folder.h"

namespace escribano {

// The first frames of the sample recording, the last one of every 5.5 s.
std::vector<Frame> recording_frames(std::size_t count);
inline constexpr std::size_t kRecordingFrames = 32;

// The processes that a process has started and not waited for, zombies included.
std::vector<pid_t> children_of(pid_t parent);

// A folder for a socket. Looks after each test that nothing is left: no child, descriptor or thread, and no file in the
// folder but those of `may_stay`.
class RealBridgeTest : public ::testing::Test {
 protected:
  void TearDown() override;

  // A client that starts `escribano bridge`. Small pictures are quick, and what the model says of them is worth little.
  enum class Pictures { small, whole };
  BridgeClientOptions options(Pictures pictures = Pictures::small) const;
  // What `escribano describe` is called with, to do the same.
  SubprocessOptions describe_command(const std::vector<Frame>& frames) const;
  // A call that fails instead of hanging.
  static DescribeOptions patient(int batch_size = 4);

  const std::filesystem::path& folder() const { return folder_.path(); }
  std::filesystem::path socket() const { return folder() / "b.sock"; }         // what the client is told
  std::filesystem::path listening() const { return folder() / "b-vlm.sock"; }  // where its bridge is
  std::vector<std::string> files() const;
  // What the bridge at `at` says; nullopt where none answers.
  static std::optional<nlohmann::json> status_at(const std::filesystem::path& at);
  std::optional<nlohmann::json> status() const { return status_at(listening()); }

  std::set<std::string> may_stay;

 private:
  TempFolder folder_;
  OwnResources resources_;
};

}  // namespace escribano
