#include "engine/core/embedding_cache.h"

#include <utility>

namespace escribano::engine {

std::shared_ptr<const ImageEmbedding> EmbeddingCache::find(const ImageHash& key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->embedding;
}

void EmbeddingCache::insert(const ImageHash& key, std::shared_ptr<const ImageEmbedding> embedding) {
  if (embedding->size_bytes() > limit_bytes_ || index_.contains(key)) return;
  size_bytes_ += embedding->size_bytes();
  entries_.push_front({key, std::move(embedding)});
  index_.emplace(key, entries_.begin());
  while (size_bytes_ > limit_bytes_) {
    size_bytes_ -= entries_.back().embedding->size_bytes();
    index_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

}  // namespace escribano::engine
