#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>

#include "engine/backend.h"
#include "image/hash.h"

namespace escribano::engine {

// Vision embeddings of the images seen last, keyed by the pixels that went into the vision tower (which include the
// size), never by a path. Bounded by bytes; the least recently used goes first. One model only. Not thread-safe.
class EmbeddingCache {
 public:
  explicit EmbeddingCache(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  // nullptr if it is not there.
  std::shared_ptr<const ImageEmbedding> find(const ImageHash& key);
  void insert(const ImageHash& key, std::shared_ptr<const ImageEmbedding> embedding);

  std::size_t size_bytes() const noexcept { return size_bytes_; }
  std::size_t limit_bytes() const noexcept { return limit_bytes_; }

 private:
  struct Entry {
    ImageHash key;
    std::shared_ptr<const ImageEmbedding> embedding;
  };

  std::size_t limit_bytes_;
  std::size_t size_bytes_ = 0;
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<ImageHash, std::list<Entry>::iterator> index_;
};

}  // namespace escribano::engine
