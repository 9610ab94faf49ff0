#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "image/image.h"

// The three decoders behind decode_image, one file each, and what they share. Not for use outside src/image.
namespace escribano::codec {

// Pixels as the file stores them and the EXIF orientation (1 to 8) that is still to be applied.
struct Decoded {
  Image image;
  int orientation = 1;
};

// Each expects bytes that begin with the signature of its format; may throw std::bad_alloc.
Result<Decoded> decode_jpeg(std::span<const std::byte> bytes, const ImageLimits& limits, std::string_view name);
Result<Decoded> decode_png(std::span<const std::byte> bytes, const ImageLimits& limits, std::string_view name);
Result<Decoded> decode_webp(std::span<const std::byte> bytes, const ImageLimits& limits, std::string_view name);

// Whether a picture of the size that a header states is allowed: too_large beyond the limit, corrupt for an empty size.
Status check_size(std::uint64_t width_px, std::uint64_t height_px, const ImageLimits& limits, std::string_view name);

// A black picture of that size, after check_size.
Result<Image> allocate_image(std::uint64_t width_px, std::uint64_t height_px, const ImageLimits& limits,
                             std::string_view name);

}  // namespace escribano::codec
