#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/backend.h"
#include "engine/core/embedding_cache.h"
#include "engine/core/unit.h"
#include "engine/engine.h"

namespace escribano::engine {

// Worker threads that turn files into what the vision tower takes: read, decode, resize, hash, prepare; whoever loads the
// last picture of a unit also builds its prompt; a unit without pictures comes for that alone. How much is under way is bounded by the caller (Engine), who decides
// what to start.
class ImageStage {
 public:
  // `on_loaded` is called on a worker thread, once for each unit started. `backend` must outlive the stage.
  ImageStage(const Backend& backend, const EngineOptions& options, EmbeddingCache& embeddings,
             std::function<void(std::shared_ptr<Unit>)> on_loaded);
  // Drops what was not begun and joins.
  ~ImageStage();
  ImageStage(const ImageStage&) = delete;
  ImageStage& operator=(const ImageStage&) = delete;

  // Never blocks. A unit whose job is cancelled is handed over unloaded and without a prompt.
  void start(const std::shared_ptr<Unit>& unit);

 private:
  struct Item {
    std::shared_ptr<Unit> unit;
    std::size_t image = 0;  // of those that the unit has
  };

  void work(const std::stop_token& stop);
  void load(Unit& unit, LoadedImage& image) const;
  Status load_pixels(const FrameInput& frame, bool reuse, LoadedImage& image) const;
  void build_prompt(Unit& unit) const;

  const Backend* backend_;
  PixelRule pixel_rule_;
  ImageLimits limits_;
  EmbeddingCache* embeddings_;
  std::function<void(std::shared_ptr<Unit>)> on_loaded_;
  std::mutex mutex_;
  std::condition_variable_any work_arrived_;
  std::deque<Item> queue_;             // guarded by mutex_
  std::vector<std::jthread> workers_;  // last: joined before the rest goes
};

}  // namespace escribano::engine
