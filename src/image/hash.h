#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "image/image.h"

namespace escribano {

// Names the content of a picture, for use as a cache key: 128 bits, so that a collision by chance will not be seen.
// Not for telling apart pictures that somebody made in order to collide.
struct ImageHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend auto operator<=>(const ImageHash&, const ImageHash&) = default;
};

// XXH3 (128 bits) of the pixels, with the size as its seed: the same pixels in rows of another length are another
// picture. The same value on every machine. Runs at about the speed of memory; any thread may call.
ImageHash hash_image(const Image& image) noexcept;

// XXH3 (64 bits) of any bytes; a seed that is the hash of what came before continues it. For noticing damage and telling
// contents apart, not for defending against somebody. Thread-safe.
std::uint64_t hash_bytes(std::span<const std::byte> bytes, std::uint64_t seed = 0) noexcept;

}  // namespace escribano

template <>
struct std::hash<escribano::ImageHash> {
  std::size_t operator()(const escribano::ImageHash& key) const noexcept { return static_cast<std::size_t>(key.low); }
};
