#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace escribano {

struct Size {
  int width_px = 0;
  int height_px = 0;

  friend bool operator==(const Size&, const Size&) = default;
};

// 8-bit sRGB pixels: rows from top to bottom without padding, each pixel as red, green, blue.
struct Image {
  int width_px = 0;
  int height_px = 0;
  std::vector<std::uint8_t> rgb;  // 3 * width_px * height_px bytes

  Size size() const noexcept { return {width_px, height_px}; }

  friend bool operator==(const Image&, const Image&) = default;
};

// What a picture may cost before it is refused with Errc::too_large. Every value is allowed; 0 refuses everything.
struct ImageLimits {
  // Size of the file. A noisy 6K screen is about 60 MiB as an 8-bit PNG.
  std::uint64_t max_bytes = 128u << 20;
  // Width times height as the header says, checked before memory for pixels is allocated. 64 Mi pixels are three 6K
  // (6016x3384) screens side by side, or 192 MiB of RGB.
  std::uint64_t max_pixels = 64u << 20;
  // Scans of a progressive JPEG. Every scan costs time for the whole picture and may be a few bytes long; encoders
  // write about 10.
  int max_jpeg_scans = 100;
};

// Decodes one still picture, recognised by its first bytes and never by a file name:
// - JPEG: grey, YCbCr, RGB, CMYK and YCCK (ink inverted, as Adobe writes it); baseline, progressive, arithmetic.
// - PNG: every colour type and depth, interlaced or not; of an animated one the default picture.
// - WebP: lossy and lossless stills.
//
// Pixels are those that Pillow's convert("RGB") after ImageOps.exif_transpose gives, which is what the reference
// implementation feeds the model: alpha and tRNS are dropped rather than blended over a colour, 16-bit samples keep
// their high byte, gamma and colour profiles are not applied, the EXIF orientation (JPEG, PNG eXIf, WebP EXIF) is. One
// difference is meant: Pillow clips 16-bit grey at 255, which turns such pictures white.
//
// `name` stands for the picture in messages and must be printable UTF-8. Errors, each with `name` and the reason:
// - unsupported: none of the three formats, an animated WebP, a JPEG of a kind that libjpeg does not know
// - corrupt: empty, truncated (also where only the end marker is missing), failed checksum, contradictory headers
// - too_large: beyond `limits`
// - out_of_memory
// Never throws and never aborts on any bytes. Blocks for the time of decoding; keeps no state, so any thread may call.
Result<Image> decode_image(std::span<const std::byte> bytes, const ImageLimits& limits, std::string_view name);

// The same from a file, with its path as the name. Also fails as read_file does: not_found, not_permitted, unsupported (a
// directory, a device), io_error. Blocks on the file.
Result<Image> load_image(const std::filesystem::path& path, const ImageLimits& limits);

// A stored picture as it is to be looked at. `orientation` is 1 to 8 as the EXIF standard numbers them; any other value
// leaves it as it is. Throws only what std::vector throws when memory is short.
Image turn_upright(Image stored, int orientation);

}  // namespace escribano
