#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/subprocess.h"
#include "support/bridge_peer.h"
#include "support/temp_folder.h"

namespace escribano {

// The real program as a daemon, with the demo model, in a folder of its own.
class BridgeProgram {
 public:
  BridgeProgram();
  // Killed, if it still runs.
  ~BridgeProgram() = default;

  std::vector<std::string> arguments = {"--model", "demo", "--no-self-check", "--until-eof", "--threads", "1"};
  std::map<std::string, std::string> environment;
  std::string program;     // escribano, or another name of it
  bool as_command = true;  // "bridge" is the first argument

  // Starts it and returns at once.
  void start();
  // The line on standard output that says how the start went. Throws where none comes.
  std::string announcement();
  // start() and a ready line.
  void serve();

  std::filesystem::path socket() const { return folder_.path() / "b.sock"; }
  const std::filesystem::path& folder() const { return folder_.path(); }
  // Names in the folder, sorted.
  std::vector<std::string> files() const;
  BridgePeer connect() const { return BridgePeer(socket()); }
  nlohmann::json status() const;
  // A describe_images request for the first `count` sample frames, again and again.
  static nlohmann::json describe(const nlohmann::json& id, std::size_t count, const nlohmann::json& parameters = {});

  pid_t pid() const { return process_->pid(); }
  void signal(int number);
  // "exited with status 0"; throws where it does not end in time.
  std::string ended(std::chrono::milliseconds deadline = BridgePeer::kDeadline);
  // What it has written so far.
  std::string out();
  std::string err();
  // Closes our end of its standard error.
  void close_log() { process_->err.reset(); }

 private:
  void read_available();

  TempFolder folder_;
  std::unique_ptr<Subprocess> process_;
  std::string out_;
  std::string err_;
};

}  // namespace escribano
