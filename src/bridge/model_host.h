#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"

namespace escribano::bridge {

struct LoadedModel {
  std::string name;                        // what to call it
  std::unique_ptr<engine::Engine> engine;  // ready for requests
};

// Finds and loads a model; the empty name means the bridge's own. Called on the host's thread. Blocks.
using ModelLoader = std::function<Result<LoadedModel>(const std::string& name)>;

// Loads and destroys models on a thread of its own, so that the bridge answers while that takes its time. The functions
// may be called from one thread; `done` callbacks run on the host's.
class ModelHost {
 public:
  explicit ModelHost(ModelLoader loader);
  // Drops tasks that were not begun and waits for the one that was. A load cannot be interrupted.
  ~ModelHost();

  void load(std::string name, std::function<void(Result<LoadedModel>)> done);
  void destroy(std::unique_ptr<engine::Engine> engine, std::function<void()> done);
  // For work that is too long for the caller's thread; in the order of the calls.
  void post(std::function<void()> task);

 private:
  void run(const std::stop_token& stop);

  const ModelLoader loader_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<std::function<void()>> tasks_;  // guarded by mutex_
  std::jthread thread_;
};

}  // namespace escribano::bridge
