#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/queue.h"
#include "engine/backend.h"
#include "engine/core/embedding_files.h"
#include "engine/core/lru_cache.h"
#include "engine/engine.h"
#include "image/hash.h"

namespace escribano::engine {

// Vision embeddings of the images seen last, keyed by the pixels that went into the vision tower (which include the
// size), never by a path: in memory, and behind it in a folder if there is one. One model only. Thread-safe.
class EmbeddingCache {
 public:
  explicit EmbeddingCache(std::size_t limit_bytes, const EmbeddingFolder& folder = {});
  // Blocks until what waits to be written is on the disk: a few files at most.
  ~EmbeddingCache();
  EmbeddingCache(const EmbeddingCache&) = delete;
  EmbeddingCache& operator=(const EmbeddingCache&) = delete;

  // What is in memory; nullptr if it is not there. Never blocks.
  std::shared_ptr<const ImageEmbedding> find(const ImageHash& key);
  // Looks into the folder, too. May block for reading a file.
  std::shared_ptr<const ImageEmbedding> load(const ImageHash& key);
  // Never blocks: a thread of the cache writes the file. Where that falls behind, what comes meanwhile stays in memory only.
  void insert(const ImageHash& key, const std::shared_ptr<const ImageEmbedding>& embedding);

  std::size_t size_bytes() const;  // in memory
  std::size_t limit_bytes() const noexcept { return limit_bytes_; }

 private:
  struct Unwritten {
    ImageHash key;
    std::shared_ptr<const ImageEmbedding> embedding;
  };
  void keep(const ImageHash& key, const std::shared_ptr<const ImageEmbedding>& embedding);

  const std::size_t limit_bytes_;
  mutable std::mutex mutex_;
  LruCache<ImageHash, std::shared_ptr<const ImageEmbedding>> entries_;  // guarded by mutex_
  std::optional<EmbeddingFiles> files_;
  BoundedQueue<Unwritten> unwritten_;
  std::jthread writer_;  // where there is a folder; last: joined first
};

}  // namespace escribano::engine
