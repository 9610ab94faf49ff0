#include "image/hash.h"

#include <xxhash.h>

namespace escribano {

ImageHash hash_image(const Image& image) noexcept {
  const std::uint64_t size = static_cast<std::uint64_t>(static_cast<std::uint32_t>(image.width_px)) << 32 |
                             static_cast<std::uint32_t>(image.height_px);
  const XXH128_hash_t hash = XXH3_128bits_withSeed(image.rgb.data(), image.rgb.size(), size);
  return {hash.high64, hash.low64};
}

std::uint64_t hash_bytes(std::span<const std::byte> bytes, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace escribano
