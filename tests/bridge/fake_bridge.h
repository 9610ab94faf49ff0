#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "bridge/server.h"
#include "engine/fake_backend.h"
#include "support/bridge_peer.h"
#include "support/temp_folder.h"

namespace escribano::bridge {

// A bridge in this process whose model is a FakeBackend, for faults that a real model will not show on demand.
class FakeBridge {
 public:
  FakeBridge();
  ~FakeBridge();

  // Before start().
  ServerOptions options;
  std::shared_ptr<engine::FakeScript> script = std::make_shared<engine::FakeScript>();
  int slots = 4;
  std::optional<Error> load_error;  // what loading fails with
  std::atomic<int> loads = 0;

  void start(bool loaded = true);
  // Ends the loop and waits for it.
  void stop();
  std::thread& loop() { return loop_; }
  Server& server() { return *server_; }

  std::filesystem::path socket() const { return folder_.path() / "b.sock"; }
  BridgePeer connect() const { return BridgePeer(socket()); }
  // The path of a PNG that stands for a number, which the fake model's answer names.
  std::string picture(int number);
  // A describe_images request for these numbers.
  nlohmann::json describe(const nlohmann::json& id, const std::vector<int>& numbers,
                          const nlohmann::json& parameters = nlohmann::json::object());
  nlohmann::json status() const;
  // An engine like the bridge's own, for comparison.
  std::unique_ptr<engine::Engine> make_engine() { return load("").value().engine; }
  const std::filesystem::path& folder() const { return folder_.path(); }

  // Lets the model stand still before its next step of a kind ("encode", "prefill", "decode") until release().
  void hold(const std::string& step);
  bool is_held();
  void release();

 private:
  Result<LoadedModel> load(const std::string& name);

  TempFolder folder_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string hold_;
  bool held_ = false;
  std::unique_ptr<Server> server_;
  std::thread loop_;
};

}  // namespace escribano::bridge
