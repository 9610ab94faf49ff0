// Any bytes through the decoders, and what comes out of them through everything else that takes pictures.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "image/exif.h"
#include "image/hash.h"
#include "image/image.h"
#include "image/resize.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

bool is_whole(const escribano::Image& image, escribano::Size size) {
  return image.size() == size && image.rgb.size() == std::size_t{3} * size.width_px * size.height_px;
}

// A PNG with the checksum that each of its chunks should have: without them no mutation gets past libpng's check.
// Anything else as it is.
std::vector<std::byte> with_png_checksums(std::span<const std::byte> bytes) {
  std::vector<std::byte> fixed(bytes.begin(), bytes.end());
  constexpr std::size_t signature_bytes = 8;
  constexpr std::size_t overhead_bytes = 12;
  if (fixed.size() < signature_bytes || fixed[0] != std::byte{0x89}) return fixed;
  for (std::size_t at = signature_bytes; fixed.size() - at >= overhead_bytes;) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | std::to_integer<std::size_t>(fixed[at + i]);
    if (length > fixed.size() - at - overhead_bytes) break;
    std::uint32_t crc = 0xFFFFFFFF;
    for (std::size_t i = at + 4; i < at + 8 + length; ++i) {
      crc ^= std::to_integer<std::uint32_t>(fixed[i]);
      for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
    }
    for (std::size_t i = 0; i < 4; ++i) fixed[at + 8 + length + i] = static_cast<std::byte>(~crc >> (24 - 8 * i));
    at += overhead_bytes + length;
  }
  return fixed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::byte> bytes = with_png_checksums(std::as_bytes(std::span(data, size)));
  const int orientation = escribano::exif_orientation(bytes);
  require(orientation >= 1 && orientation <= 8);

  const escribano::ImageLimits limits = {.max_bytes = 1 << 20, .max_pixels = 1 << 16, .max_jpeg_scans = 20};
  const auto image = escribano::decode_image(bytes, limits, "fuzz");
  if (!image) {
    require(image.error().message.starts_with("fuzz: "));
    return 0;
  }
  require(image->width_px > 0 && image->height_px > 0 && is_whole(*image, image->size()));
  require(escribano::hash_image(*image) == escribano::hash_image(*image));
  const escribano::Size small = {11, 7};
  require(is_whole(escribano::resize_bicubic(*image, small), small));
  const escribano::PixelRule rule = {.patch_size_px = 4, .merge_size = 2, .min_pixels = 64, .max_pixels = 1 << 12};
  if (const auto seen = escribano::model_image_size(image->size(), rule)) {
    require(seen->width_px % 8 == 0 && seen->height_px % 8 == 0);
    require(is_whole(escribano::resize_bicubic(*image, *seen), *seen));
  }
  return 0;
}
