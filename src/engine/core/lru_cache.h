#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>

namespace escribano::engine {

// Values under their keys, bounded by bytes; the least recently used goes first. A limit of 0 keeps nothing. Not
// thread-safe. `Key` needs == and std::hash.
template <class Key, class Value>
class LruCache {
 public:
  explicit LruCache(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  std::optional<Value> find(const Key& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return std::nullopt;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->value;
  }

  // `size_bytes` is what the entry counts for. What is there already stays, and what is larger than the limit is not kept.
  void insert(const Key& key, Value value, std::size_t size_bytes) {
    if (size_bytes > limit_bytes_ || limit_bytes_ == 0 || index_.contains(key)) return;
    size_bytes_ += size_bytes;
    entries_.push_front({key, std::move(value), size_bytes});
    index_.emplace(key, entries_.begin());
    while (size_bytes_ > limit_bytes_) {
      size_bytes_ -= entries_.back().size_bytes;
      index_.erase(entries_.back().key);
      entries_.pop_back();
    }
  }

  std::size_t size_bytes() const noexcept { return size_bytes_; }
  std::size_t limit_bytes() const noexcept { return limit_bytes_; }

 private:
  struct Entry {
    Key key;
    Value value;
    std::size_t size_bytes = 0;
  };

  std::size_t limit_bytes_;
  std::size_t size_bytes_ = 0;
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<Key, typename std::list<Entry>::iterator> index_;
};

}  // namespace escribano::engine
