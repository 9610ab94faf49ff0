#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "engine/core/lru_cache.h"
#include "image/hash.h"

namespace escribano::engine {

// All that a frame's answer depends on, beside the model: the pixels as the model sees them (never a path), what is asked,
// and how the answer is picked. Decoding is deterministic (docs/engine.md), so equal keys have equal answers.
struct AnswerKey {
  ImageHash image;
  std::uint64_t prompt = 0;  // hash of its text tokens
  float temperature = 0;
  std::uint32_t seed = 0;
  int max_tokens = 0;
  bool constrained = true;

  friend bool operator==(const AnswerKey&, const AnswerKey&) = default;
};

}  // namespace escribano::engine

template <>
struct std::hash<escribano::engine::AnswerKey> {
  std::size_t operator()(const escribano::engine::AnswerKey& key) const noexcept {
    return static_cast<std::size_t>(key.image.low ^ key.prompt);
  }
};

namespace escribano::engine {

// Finished answers of the frames described last: those that parsed and ended by themselves. Engine thread only.
class AnswerCache {
 public:
  explicit AnswerCache(std::size_t limit_bytes) : texts_(limit_bytes) {}

  bool is_off() const noexcept { return texts_.limit_bytes() == 0; }
  std::optional<std::string> find(const AnswerKey& key) { return texts_.find(key); }
  void insert(const AnswerKey& key, const std::string& text) {
    constexpr std::size_t kEntryBytes = 256;  // of the containers, roughly
    texts_.insert(key, text, text.size() + kEntryBytes);
  }

 private:
  LruCache<AnswerKey, std::string> texts_;
};

}  // namespace escribano::engine
