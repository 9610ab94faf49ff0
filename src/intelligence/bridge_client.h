#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "domain/intelligence_service.h"
#include "protocol/request.h"

namespace escribano {

struct BridgeClientOptions {
  std::filesystem::path
      socket_path;  // as in ESCRIBANO_MLX_SOCKET_PATH; what is listened at follows from it and the mode
  protocol::Mode mode = protocol::Mode::vlm;
  std::vector<std::string> command;  // starts a bridge where none answers; empty: only a bridge that runs is used
  bool foreign = false;              // `command` is not ours: it is ended by SIGTERM, as it may not know `shutdown`
  // vlm mode: what a bridge of ours that runs already must serve, or the call fails; empty: whatever it serves.
  std::string expected_model;
  std::string llm_model;                             // for `load_llm` (llm mode); empty: the bridge's own
  std::map<std::string, std::string> environment;    // for the command, on top of this process's and the socket path
  std::chrono::milliseconds startup_timeout{60000};  // from the start of the command to its ready line
  std::chrono::milliseconds shutdown_grace{3000};    // for a bridge to end before it is killed, twice at most
  // How long after the death of a bridge another one is started, by the number of deaths in a row. Empty: 0, 0.5, 1, 2,
  // ... up to 30 s.
  std::function<std::chrono::milliseconds(int deaths)> restart_delay;

  std::vector<std::string> validate() const;
};

// Models behind a bridge: a process of ours or of anyone who speaks the protocol (docs/protocol.md), of either generation.
//
// Nothing happens before the first call. It joins the bridge that listens at the socket, or starts one: one, however many
// threads and processes want it at once. Each call has a connection of its own; giving a call up closes it. A bridge that
// dies fails the calls it was answering, with bridge_died and how it ended, and the next call starts another.
//
// The destructor ends the bridge that this object started (ours stays while others use it, and ends after the last of
// them), and leaves no process, thread, descriptor or socket file behind. No call may be going on then.
//
// A file whose path is not UTF-8 cannot be named to a bridge: such a frame fails alone.
std::unique_ptr<IntelligenceService> make_bridge_client(BridgeClientOptions options);

}  // namespace escribano
