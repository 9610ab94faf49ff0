#pragma once

#include <cstddef>
#include <memory>

#include "engine/backend.h"
#include "engine/core/lru_cache.h"
#include "image/hash.h"

namespace escribano::engine {

// Vision embeddings of the images seen last, keyed by the pixels that went into the vision tower (which include the
// size), never by a path. One model only. Not thread-safe.
class EmbeddingCache {
 public:
  explicit EmbeddingCache(std::size_t limit_bytes) : entries_(limit_bytes) {}

  // nullptr if it is not there.
  std::shared_ptr<const ImageEmbedding> find(const ImageHash& key) { return entries_.find(key).value_or(nullptr); }
  void insert(const ImageHash& key, const std::shared_ptr<const ImageEmbedding>& embedding) {
    entries_.insert(key, embedding, embedding->size_bytes());
  }

  std::size_t size_bytes() const noexcept { return entries_.size_bytes(); }
  std::size_t limit_bytes() const noexcept { return entries_.limit_bytes(); }

 private:
  LruCache<ImageHash, std::shared_ptr<const ImageEmbedding>> entries_;
};

}  // namespace escribano::engine
