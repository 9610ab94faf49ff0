#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace escribano::recording {

// Pictures that were encoded while a recording was sampled, for those who ask for them soon after: the first ones, up to a limit in
// bytes. Not thread-safe.
class KeptPictures {
 public:
  explicit KeptPictures(std::size_t limit_bytes = 0) : limit_bytes_(limit_bytes), has_room_(limit_bytes > 0) {}

  // False for good once a picture had no room.
  bool has_room() const noexcept { return has_room_; }

  void keep(std::int64_t at_ms, std::vector<std::byte> png) {
    if (bytes_ + png.size() > limit_bytes_) has_room_ = false;
    if (!has_room_) return;
    bytes_ += png.size();
    pictures_.insert_or_assign(at_ms, std::move(png));
  }

  // Given once, and kept no longer.
  std::optional<std::vector<std::byte>> take(std::int64_t at_ms) {
    auto node = pictures_.extract(at_ms);
    if (node.empty()) return std::nullopt;
    bytes_ -= node.mapped().size();
    return std::move(node.mapped());
  }

 private:
  std::size_t limit_bytes_;
  bool has_room_;
  std::size_t bytes_ = 0;
  std::unordered_map<std::int64_t, std::vector<std::byte>> pictures_;
};

}  // namespace escribano::recording
