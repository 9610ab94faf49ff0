#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "image/image.h"

// Writers of small pictures, for tests of the decoders. They abort on misuse.
namespace escribano {

using Bytes = std::vector<std::byte>;

// A smooth picture in which every pixel differs from its neighbours.
Image gradient(Size size);
// The largest difference of any byte; 256 for pictures of different sizes.
int distance(const Image& a, const Image& b);
// Cells of 16x16 pixels in grey of the level given, `columns` to a row: survives lossy formats well enough to be read
// back by cell_levels.
Image cells(std::span<const std::uint8_t> levels, int columns);
// The level in the middle of each cell, rounded to a multiple of 20.
std::vector<std::uint8_t> cell_levels(const Image& image);

// A TIFF block with an orientation behind one other entry.
Bytes exif_block(int orientation, bool big_endian);

enum class JpegInk { none, cmyk, ycck };
struct JpegOptions {
  int quality = 100;
  bool progressive = false;
  // Progressive, every AC coefficient of each component in a scan of its own: 190 scans, all valid.
  bool scan_per_coefficient = false;
  bool grey = false;
  // Four channels as Adobe's programs write them: RGB goes in as 255 - CMY, `white` as 255 - K for every pixel.
  JpegInk ink = JpegInk::none;
  std::uint8_t white = 255;
  Bytes exif = {};
};
Bytes encode_jpeg(const Image& image, const JpegOptions& options = {});

// `rows` in PNG's own packing, without filter bytes, one after the other.
struct PngSource {
  int width_px = 0;
  int height_px = 0;
  int depth = 8;
  int colour_type = 2;  // 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha
  std::vector<std::uint8_t> rows;
  std::vector<std::uint8_t> palette = {};        // RGB triples
  std::vector<std::uint8_t> palette_alpha = {};  // tRNS of a palette
  bool has_transparent_colour = false;           // tRNS of grey and RGB: level 0
  bool interlaced = false;
  Bytes exif = {};
};
Bytes encode_png(const PngSource& source);
Bytes encode_png(const Image& image, const Bytes& exif = {});
// One chunk with its CRC, and a whole file of chunks.
Bytes png_chunk(std::string_view type, std::span<const std::byte> data);
Bytes png_file(std::span<const Bytes> chunks);

struct WebpOptions {
  bool lossless = true;
  Bytes exif = {};
};
Bytes encode_webp(const Image& image, const WebpOptions& options = {});
// An animation with this picture as its only frame.
Bytes encode_animated_webp(const Image& image);

}  // namespace escribano
