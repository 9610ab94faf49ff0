#include "intelligence/bridge_peers.h"

#include <csignal>
#include <stdexcept>
#include <string>
#include <utility>

#include <poll.h>
#include <unistd.h>

#include "base/subprocess.h"
#include "intelligence/bridge_client.h"
#include "support/demo_files.h"
#include "support/temp_folder.h"

namespace escribano {
namespace {

// A bridge that runs, and a client that may not start another one when it is killed.
class BridgePeer final : public Peer {
 public:
  explicit BridgePeer(std::vector<std::string> command) {
    const std::string socket = folder_.path() / "bridge.sock";
    auto process = Subprocess::start({.arguments = std::move(command),
                                      .environment = {{"ESCRIBANO_MLX_SOCKET_PATH", socket},
                                                      {"FIXTURE_DELAY_MS", "2"},
                                                      {"ESCRIBANO_HOME", folder_.path() / "home"}}});
    if (!process) throw std::runtime_error(process.error().message);
    process_ = std::make_unique<Subprocess>(*std::move(process));
    pollfd entry = {.fd = process_->out.get(), .events = POLLIN, .revents = 0};
    char line[4096];
    const ssize_t got = ::poll(&entry, 1, 120'000) == 1 ? ::read(process_->out.get(), line, sizeof line) : -1;
    const std::string said(line, static_cast<std::size_t>(got > 0 ? got : 0));
    if (said.find("\"ready\"") == std::string::npos) throw std::runtime_error("not ready: " + said);
    service_ = make_bridge_client({.socket_path = socket});
  }

  IntelligenceService& service() override { return *service_; }
  void kill() override {
    ::kill(process_->pid(), SIGKILL);
    process_->wait(std::chrono::seconds(60));
  }

 private:
  TempFolder folder_;
  std::unique_ptr<Subprocess> process_;
  std::unique_ptr<IntelligenceService> service_;
};

std::function<std::unique_ptr<Peer>()> fixture(int generation) {
  return [generation] {
    std::vector<std::string> command = {"python3", ESCRIBANO_SOURCE_DIR "/tests/intelligence/fixtures/generation" +
                                                       std::to_string(generation) + "_bridge.py"};
    if (generation == 2) command.insert(command.end(), {"--mode", "vlm"});
    return std::make_unique<BridgePeer>(std::move(command));
  };
}

#ifdef ESCRIBANO_EXECUTABLE
std::unique_ptr<Peer> start_own() {
  return std::make_unique<BridgePeer>(std::vector<std::string>{ESCRIBANO_EXECUTABLE, "bridge", "--mode", "vlm",
                                                               "--model", demo_model().model.native(), "--mmproj",
                                                               demo_model().projector.native(), "--threads", "1"});
}
#endif

}  // namespace

std::vector<PeerKind> bridge_peers() {
  return {
      {.name = "Generation1Bridge", .says_stats = false, .generates_text = false, .start = fixture(1)},
      {.name = "Generation2Bridge", .start = fixture(2)},
#ifdef ESCRIBANO_EXECUTABLE
      {.name = "EscribanoBridge", .demo_model = true, .start = start_own},
#endif
  };
}

}  // namespace escribano
