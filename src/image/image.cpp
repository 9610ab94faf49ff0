#include "image/image.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "base/file.h"
#include "image/codecs.h"

namespace escribano {
namespace {

bool has(std::span<const std::byte> bytes, std::size_t offset, std::string_view expected) {
  return bytes.size() >= offset + expected.size() &&
         std::memcmp(bytes.data() + offset, expected.data(), expected.size()) == 0;
}

Result<codec::Decoded> decode_by_signature(std::span<const std::byte> bytes, const ImageLimits& limits,
                                           std::string_view name) {
  if (bytes.empty()) return fail(Errc::corrupt, "{}: the file is empty", name);
  if (bytes.size() > limits.max_bytes) {
    return fail(Errc::too_large, "{}: {} bytes; the limit is {}", name, bytes.size(), limits.max_bytes);
  }
  if (has(bytes, 0, "\xFF\xD8\xFF")) return codec::decode_jpeg(bytes, limits, name);
  if (has(bytes, 0, "\x89PNG\r\n\x1A\n")) return codec::decode_png(bytes, limits, name);
  if (has(bytes, 0, "RIFF") && has(bytes, 8, "WEBP")) return codec::decode_webp(bytes, limits, name);
  return fail(Errc::unsupported, "{}: not a JPEG, PNG or WebP picture", name);
}

// Where the pixels of the upright picture stand in the stored one: upright (x, y) is at start + x * per_x + y * per_y,
// counted in pixels.
struct Walk {
  Size size;
  std::ptrdiff_t start = 0;
  std::ptrdiff_t per_x = 0;
  std::ptrdiff_t per_y = 0;
};

Walk walk_of(Size stored, int orientation) {
  const std::ptrdiff_t w = stored.width_px;
  const std::ptrdiff_t h = stored.height_px;
  const Size turned = {stored.height_px, stored.width_px};
  switch (orientation) {                          // EXIF 2.32, 4.6.4 A: what the stored row 0 and column 0 show
    case 2: return {stored, w - 1, -1, w};        // top, right
    case 3: return {stored, w * h - 1, -1, -w};   // bottom, right
    case 4: return {stored, w * (h - 1), 1, -w};  // bottom, left
    case 5: return {turned, 0, w, 1};             // left, top
    case 6: return {turned, w * (h - 1), -w, 1};  // right, top
    case 7: return {turned, w * h - 1, -w, -1};   // right, bottom
    case 8: return {turned, w - 1, w, -1};        // left, bottom
    default: return {stored, 0, 1, w};
  }
}

}  // namespace

Image turn_upright(Image stored, int orientation) {
  if (orientation <= 1 || orientation > 8) return stored;
  const Walk walk = walk_of(stored.size(), orientation);
  Image result{walk.size.width_px, walk.size.height_px, std::vector<std::uint8_t>(stored.rgb.size())};
  std::uint8_t* out = result.rgb.data();
  for (std::ptrdiff_t y = 0; y < result.height_px; ++y) {
    for (std::ptrdiff_t x = 0; x < result.width_px; ++x, out += 3) {
      std::memcpy(out, stored.rgb.data() + 3 * (walk.start + x * walk.per_x + y * walk.per_y), 3);
    }
  }
  return result;
}

Status codec::check_size(std::uint64_t width_px, std::uint64_t height_px, const ImageLimits& limits,
                         std::string_view name) {
  if (width_px == 0 || height_px == 0) {
    return fail(Errc::corrupt, "{}: {}x{} pixels: the picture has no area", name, width_px, height_px);
  }
  constexpr std::uint64_t max_side_px = std::numeric_limits<int>::max();
  constexpr std::uint64_t addressable_pixels = std::numeric_limits<std::ptrdiff_t>::max() / 3;
  const std::uint64_t max_pixels = std::min(limits.max_pixels, addressable_pixels);
  if (width_px > max_side_px || height_px > max_side_px || width_px > max_pixels / height_px) {
    return fail(Errc::too_large, "{}: {}x{} pixels; the limit is {} pixels in all", name, width_px, height_px,
                max_pixels);
  }
  return {};
}

Result<Image> codec::allocate_image(std::uint64_t width_px, std::uint64_t height_px, const ImageLimits& limits,
                                    std::string_view name) {
  ESCRIBANO_CHECK(check_size(width_px, height_px, limits, name));
  return Image{static_cast<int>(width_px), static_cast<int>(height_px),
               std::vector<std::uint8_t>(3 * width_px * height_px)};
}

Result<Image> decode_image(std::span<const std::byte> bytes, const ImageLimits& limits, std::string_view name) {
  try {
    ESCRIBANO_TRY(codec::Decoded decoded, decode_by_signature(bytes, limits, name));
    return turn_upright(std::move(decoded.image), decoded.orientation);
  } catch (const std::bad_alloc&) {
    return fail(Errc::out_of_memory, "{}: no memory for the picture", name);
  }
}

Result<Image> load_image(const std::filesystem::path& path, const ImageLimits& limits) {
  try {
    ESCRIBANO_TRY(const std::vector<std::byte> bytes, read_file(path, limits.max_bytes));
    return decode_image(bytes, limits, printable(path));
  } catch (const std::bad_alloc&) {
    return fail(Errc::out_of_memory, "{}: no memory for the file", printable(path));
  }
}

}  // namespace escribano
