#include "engine/core/embedding_cache.h"

#include <utility>

namespace escribano::engine {
namespace {

// Embeddings that wait to be written: their memory counts.
constexpr std::size_t kMaxUnwritten = 4;

}  // namespace

EmbeddingCache::EmbeddingCache(std::size_t limit_bytes, const EmbeddingFolder& folder)
    : limit_bytes_(limit_bytes), entries_(limit_bytes), unwritten_(kMaxUnwritten) {
  if (folder.path.empty() || folder.limit_bytes == 0) return;
  files_.emplace(folder);
  writer_ = std::jthread([this] {
    while (const std::optional<Unwritten> next = unwritten_.pop()) files_->write(next->key, *next->embedding);
  });
}

EmbeddingCache::~EmbeddingCache() { unwritten_.close(); }

std::shared_ptr<const ImageEmbedding> EmbeddingCache::find(const ImageHash& key) {
  const std::lock_guard lock(mutex_);
  return entries_.find(key).value_or(nullptr);
}

std::shared_ptr<const ImageEmbedding> EmbeddingCache::load(const ImageHash& key) {
  if (auto embedding = find(key)) return embedding;
  if (!files_) return nullptr;
  std::shared_ptr<const ImageEmbedding> embedding = files_->read(key);
  if (embedding) keep(key, embedding);
  return embedding;
}

void EmbeddingCache::insert(const ImageHash& key, const std::shared_ptr<const ImageEmbedding>& embedding) {
  keep(key, embedding);
  if (files_) unwritten_.try_push({key, embedding});
}

void EmbeddingCache::keep(const ImageHash& key, const std::shared_ptr<const ImageEmbedding>& embedding) {
  const std::lock_guard lock(mutex_);
  entries_.insert(key, embedding, embedding->size_bytes());
}

std::size_t EmbeddingCache::size_bytes() const {
  const std::lock_guard lock(mutex_);
  return entries_.size_bytes();
}

}  // namespace escribano::engine
