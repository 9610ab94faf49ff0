#include "image/encode.h"

#include <algorithm>
#include <cstdio>  // jpeglib.h needs FILE
#include <cstdlib>
#include <iterator>

#include <jpeglib.h>
#include <png.h>
#include <webp/encode.h>

namespace escribano {
namespace {

void append(Bytes& to, std::span<const std::byte> more) {
  // Not insert(): gcc 12 inlines it and then warns of overflows that cannot happen.
  for (const std::byte byte : more) to.push_back(byte);
}
void append(Bytes& to, std::string_view more) { append(to, std::as_bytes(std::span(more))); }
void append_number(Bytes& to, std::uint32_t value, int bytes, bool big_endian) {
  for (int i = 0; i < bytes; ++i) to.push_back(static_cast<std::byte>(value >> 8 * (big_endian ? bytes - 1 - i : i)));
}

void write_png_bytes(png_structp png, png_bytep data, std::size_t size) {
  append(*static_cast<Bytes*>(png_get_io_ptr(png)), std::as_bytes(std::span(data, size)));
}

// Chunk by chunk; the RIFF length is filled in by riff_file.
Bytes riff_chunk(std::string_view type, std::span<const std::byte> data) {
  Bytes chunk;
  append(chunk, type);
  append_number(chunk, static_cast<std::uint32_t>(data.size()), 4, false);
  append(chunk, data);
  if (data.size() % 2 != 0) chunk.push_back({});
  return chunk;
}

Bytes riff_file(std::span<const Bytes> chunks) {
  Bytes content;
  append(content, "WEBP");
  for (const Bytes& chunk : chunks) append(content, chunk);
  Bytes file = riff_chunk("RIFF", content);
  return file;
}

// The extended header: which features follow, and the size of the canvas.
Bytes webp_header(std::uint32_t flags, const Image& image) {
  Bytes data;
  append_number(data, flags, 4, false);
  append_number(data, static_cast<std::uint32_t>(image.width_px - 1), 3, false);
  append_number(data, static_cast<std::uint32_t>(image.height_px - 1), 3, false);
  return riff_chunk("VP8X", data);
}

std::vector<jpeg_scan_info> scan_per_coefficient() {
  std::vector<jpeg_scan_info> scans = {{3, {0, 1, 2, 0}, 0, 0, 0, 0}};
  for (int component = 0; component < 3; ++component) {
    for (int k = 1; k < 64; ++k) scans.push_back({1, {component, 0, 0, 0}, k, k, 0, 0});
  }
  return scans;
}

}  // namespace

Image gradient(Size size) {
  Image image{size.width_px, size.height_px, {}};
  for (int y = 0; y < size.height_px; ++y) {
    for (int x = 0; x < size.width_px; ++x) {
      for (const int level : {20 + 5 * x, 40 + 7 * y, 30 + 3 * x + 2 * y}) {
        image.rgb.push_back(static_cast<std::uint8_t>(std::min(level, 255)));
      }
    }
  }
  return image;
}

int distance(const Image& a, const Image& b) {
  if (a.size() != b.size() || a.rgb.size() != b.rgb.size()) return 256;
  int largest = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) largest = std::max(largest, std::abs(a.rgb[i] - b.rgb[i]));
  return largest;
}

constexpr int cell_px = 16;

Image cells(std::span<const std::uint8_t> levels, int columns) {
  const int rows = static_cast<int>(levels.size()) / columns;
  Image image{columns * cell_px, rows * cell_px, {}};
  for (int y = 0; y < image.height_px; ++y) {
    for (int x = 0; x < image.width_px; ++x)
      image.rgb.insert(image.rgb.end(), 3, levels[y / cell_px * columns + x / cell_px]);
  }
  return image;
}

std::vector<std::uint8_t> cell_levels(const Image& image) {
  std::vector<std::uint8_t> levels;
  for (int y = cell_px / 2; y < image.height_px; y += cell_px) {
    for (int x = cell_px / 2; x < image.width_px; x += cell_px) {
      levels.push_back(static_cast<std::uint8_t>((image.rgb[3 * (y * image.width_px + x)] + 10) / 20 * 20));
    }
  }
  return levels;
}

Bytes exif_block(int orientation, bool big_endian) {
  Bytes block;
  append(block, big_endian ? std::string_view("MM\0*", 4) : std::string_view("II*\0", 4));
  append_number(block, 8, 4, big_endian);  // where the directory is
  append_number(block, 2, 2, big_endian);  // its entries: ImageWidth, Orientation
  for (const auto& [tag, value] : {std::pair<std::uint32_t, int>{0x0100, 640}, {0x0112, orientation}}) {
    append_number(block, tag, 2, big_endian);
    append_number(block, 3, 2, big_endian);
    append_number(block, 1, 4, big_endian);
    append_number(block, static_cast<std::uint32_t>(value), 2, big_endian);
    append_number(block, 0, 2, big_endian);
  }
  append_number(block, 0, 4, big_endian);
  return block;
}

Bytes encode_jpeg(const Image& image, const JpegOptions& options) {
  jpeg_compress_struct info = {};
  jpeg_error_mgr errors = {};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  const bool has_ink = options.ink != JpegInk::none;
  info.image_width = static_cast<JDIMENSION>(image.width_px);
  info.image_height = static_cast<JDIMENSION>(image.height_px);
  info.input_components = has_ink ? 4 : 3;
  info.in_color_space = has_ink ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&info);
  if (options.grey) jpeg_set_colorspace(&info, JCS_GRAYSCALE);
  if (has_ink) jpeg_set_colorspace(&info, options.ink == JpegInk::ycck ? JCS_YCCK : JCS_CMYK);
  jpeg_set_quality(&info, options.quality, TRUE);
  if (options.progressive) jpeg_simple_progression(&info);
  const std::vector<jpeg_scan_info> scans = scan_per_coefficient();
  if (options.scan_per_coefficient) {
    info.scan_info = scans.data();
    info.num_scans = static_cast<int>(scans.size());
  }
  jpeg_start_compress(&info, TRUE);
  if (!options.exif.empty()) {
    Bytes marker;
    append(marker, std::string_view("Exif\0\0", 6));
    append(marker, options.exif);
    jpeg_write_marker(&info, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(marker.data()),
                      static_cast<unsigned>(marker.size()));
  }
  for (int y = 0; y < image.height_px; ++y) {
    std::vector<std::uint8_t> row;
    for (int x = 0; x < image.width_px; ++x) {
      const std::uint8_t* pixel = &image.rgb[3 * (y * image.width_px + x)];
      row.insert(row.end(), pixel, pixel + 3);
      if (has_ink) row.push_back(options.white);
    }
    JSAMPROW rows[] = {row.data()};
    jpeg_write_scanlines(&info, rows, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  Bytes bytes;
  append(bytes, std::as_bytes(std::span(buffer, size)));
  std::free(buffer);
  return bytes;
}

Bytes encode_png(const PngSource& source) {
  Bytes bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  if (setjmp(png_jmpbuf(png)) != 0) std::abort();
  png_set_write_fn(png, &bytes, write_png_bytes, nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(source.width_px), static_cast<png_uint_32>(source.height_px),
               source.depth, source.colour_type, source.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
  if (!source.palette.empty()) {
    png_set_PLTE(png, info, reinterpret_cast<png_const_colorp>(source.palette.data()),
                 static_cast<int>(source.palette.size() / 3));
  }
  png_color_16 transparent = {};
  if (!source.palette_alpha.empty()) {
    png_set_tRNS(png, info, source.palette_alpha.data(), static_cast<int>(source.palette_alpha.size()), nullptr);
  } else if (source.has_transparent_colour) {
    png_set_tRNS(png, info, nullptr, 0, &transparent);
  }
  Bytes exif = source.exif;
  if (!exif.empty()) {
    png_set_eXIf_1(png, info, static_cast<png_uint_32>(exif.size()), reinterpret_cast<png_bytep>(exif.data()));
  }
  png_write_info(png, info);
  const std::size_t row_bytes = source.rows.size() / static_cast<std::size_t>(source.height_px);
  for (int passes = png_set_interlace_handling(png); passes > 0; --passes) {
    for (int y = 0; y < source.height_px; ++y) png_write_row(png, &source.rows[y * row_bytes]);
  }
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

Bytes encode_png(const Image& image, const Bytes& exif) {
  return encode_png(
      PngSource{.width_px = image.width_px, .height_px = image.height_px, .rows = image.rgb, .exif = exif});
}

Bytes png_chunk(std::string_view type, std::span<const std::byte> data) {
  Bytes chunk;
  append_number(chunk, static_cast<std::uint32_t>(data.size()), 4, true);
  append(chunk, type);
  append(chunk, data);
  std::uint32_t crc = 0xFFFFFFFF;
  for (std::size_t i = 4; i < chunk.size(); ++i) {
    crc ^= std::to_integer<std::uint32_t>(chunk[i]);
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
  }
  append_number(chunk, ~crc, 4, true);
  return chunk;
}

Bytes png_file(std::span<const Bytes> chunks) {
  Bytes file;
  append(file, "\x89PNG\r\n\x1A\n");
  for (const Bytes& chunk : chunks) append(file, chunk);
  return file;
}

Bytes encode_webp(const Image& image, const WebpOptions& options) {
  std::uint8_t* buffer = nullptr;
  const std::size_t size =
      options.lossless
          ? WebPEncodeLosslessRGB(image.rgb.data(), image.width_px, image.height_px, 3 * image.width_px, &buffer)
          : WebPEncodeRGB(image.rgb.data(), image.width_px, image.height_px, 3 * image.width_px, 95, &buffer);
  Bytes bytes;
  append(bytes, std::as_bytes(std::span(buffer, size)));
  WebPFree(buffer);
  if (options.exif.empty()) return bytes;
  constexpr std::uint32_t has_exif = 0x08;
  const Bytes picture(bytes.begin() + 12, bytes.end());
  return riff_file(std::vector{webp_header(has_exif, image), picture, riff_chunk("EXIF", options.exif)});
}

Bytes encode_animated_webp(const Image& image) {
  const Bytes still = encode_webp(image);
  Bytes frame(6);  // at the left upper corner
  append_number(frame, static_cast<std::uint32_t>(image.width_px - 1), 3, false);
  append_number(frame, static_cast<std::uint32_t>(image.height_px - 1), 3, false);
  append_number(frame, 100, 3, false);  // milliseconds
  frame.push_back({});                  // blending and disposal
  append(frame, std::span(still).subspan(12));
  constexpr std::uint32_t is_animated = 0x02;
  return riff_file(
      std::vector{webp_header(is_animated, image), riff_chunk("ANIM", Bytes(6)), riff_chunk("ANMF", frame)});
}

}  // namespace escribano
