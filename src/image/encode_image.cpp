#include "image/encode_image.h"

#include <array>
#include <csetjmp>
#include <cstdint>
#include <cstdio>  // jpeglib.h needs FILE
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include <jpeglib.h>
#include <png.h>
// After jpeglib.h, which it needs.
#include <jerror.h>

namespace escribano {
namespace {

using Bytes = std::vector<std::byte>;

Status check(const Image& image) {
  if (image.width_px < 1 || image.height_px < 1) return fail(Errc::invalid_argument, "the picture has no area");
  const std::size_t bytes =
      std::size_t{3} * static_cast<std::size_t>(image.width_px) * static_cast<std::size_t>(image.height_px);
  if (image.rgb.size() != bytes) {
    return fail(Errc::invalid_argument, "a picture of {}x{} pixels has {} bytes instead of {}", image.width_px,
                image.height_px, image.rgb.size(), bytes);
  }
  return {};
}

// Both libraries report failure by a function that must not return. Ours jumps back into the function that made the
// call, which holds no object with a destructor.
struct PngWriter {
  PngWriter() = default;
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;
  ~PngWriter() { png_destroy_write_struct(&png, &info); }

  [[noreturn]] void give_up(const char* reason) {
    std::snprintf(message.data(), message.size(), "%s", reason);
    std::longjmp(escape, 1);
  }

  png_structp png = nullptr;
  png_infop info = nullptr;
  Bytes bytes;
  bool out_of_memory = false;
  std::jmp_buf escape = {};
  std::array<char, 200> message = {};
};

void on_png_error(png_structp png, png_const_charp message) {
  static_cast<PngWriter*>(png_get_error_ptr(png))->give_up(message);
}

void on_png_warning(png_structp, png_const_charp) {}

// An exception must not pass through C code, and a jump must not leave a handler.
bool append(PngWriter& writer, const std::byte* data, std::size_t size) noexcept {
  try {
    writer.bytes.insert(writer.bytes.end(), data, data + size);
    return true;
  } catch (const std::bad_alloc&) {
    writer.out_of_memory = true;
    return false;
  }
}

void on_png_bytes(png_structp png, png_bytep data, std::size_t size) {
  PngWriter& writer = *static_cast<PngWriter*>(png_get_io_ptr(png));
  if (!append(writer, reinterpret_cast<const std::byte*>(data), size)) writer.give_up("not enough memory");
}

bool write_png(PngWriter& writer, const Image& image) {
  if (setjmp(writer.escape) != 0) return false;
  writer.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &writer, on_png_error, on_png_warning);
  if (writer.png == nullptr) writer.give_up("libpng cannot be started");
  writer.info = png_create_info_struct(writer.png);
  if (writer.info == nullptr) writer.give_up("libpng cannot be started");
  png_set_write_fn(writer.png, &writer, on_png_bytes, nullptr);
  // Screens are flat: a filter costs more time than it saves bytes.
  png_set_filter(writer.png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
  png_set_compression_level(writer.png, 1);
  png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(image.width_px),
               static_cast<png_uint_32>(image.height_px), 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(writer.png, writer.info);
  const std::size_t row_bytes = std::size_t{3} * static_cast<std::size_t>(image.width_px);
  for (std::size_t y = 0; y < static_cast<std::size_t>(image.height_px); ++y) {
    png_write_row(writer.png, image.rgb.data() + y * row_bytes);
  }
  png_write_end(writer.png, writer.info);
  return true;
}

struct JpegWriter {
  JpegWriter() = default;
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;
  ~JpegWriter() {
    jpeg_destroy_compress(&info);  // does nothing for a zeroed struct
    std::free(buffer);             // NOLINT(cppcoreguidelines-no-malloc): libjpeg allocates it so
  }

  jpeg_compress_struct info = {};
  jpeg_error_mgr errors = {};
  std::jmp_buf escape = {};
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  std::array<char, JMSG_LENGTH_MAX> message = {};
};

void on_jpeg_error(j_common_ptr any) {
  JpegWriter& writer = *static_cast<JpegWriter*>(any->client_data);
  writer.errors.format_message(any, writer.message.data());
  std::longjmp(writer.escape, 1);
}

void on_jpeg_message(j_common_ptr, int) {}

bool write_jpeg(JpegWriter& writer, const Image& image, int quality) {
  jpeg_compress_struct& info = writer.info;
  info.err = jpeg_std_error(&writer.errors);
  info.client_data = &writer;
  writer.errors.error_exit = on_jpeg_error;
  writer.errors.emit_message = on_jpeg_message;
  if (setjmp(writer.escape) != 0) return false;
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, &writer.buffer, &writer.size);
  info.image_width = static_cast<JDIMENSION>(image.width_px);
  info.image_height = static_cast<JDIMENSION>(image.height_px);
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  const std::size_t row_bytes = std::size_t{3} * static_cast<std::size_t>(image.width_px);
  while (info.next_scanline < info.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(image.rgb.data() + row_bytes * info.next_scanline);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  return true;
}

}  // namespace

Result<std::vector<std::byte>> encode_png(const Image& image) {
  ESCRIBANO_CHECK(check(image));
  PngWriter writer;
  if (!write_png(writer, image)) {
    return fail(writer.out_of_memory ? Errc::out_of_memory : Errc::internal, "a picture of {}x{} pixels as PNG: {}",
                image.width_px, image.height_px, writer.message.data());
  }
  return std::move(writer.bytes);
}

Result<std::vector<std::byte>> encode_jpeg(const Image& image, int quality) {
  ESCRIBANO_CHECK(check(image));
  if (quality < 1 || quality > 100) return fail(Errc::invalid_argument, "JPEG quality {} is not 1 to 100", quality);
  if (image.width_px > JPEG_MAX_DIMENSION || image.height_px > JPEG_MAX_DIMENSION) {
    return fail(Errc::too_large, "a JPEG cannot have {}x{} pixels", image.width_px, image.height_px);
  }
  JpegWriter writer;
  if (!write_jpeg(writer, image, quality)) {
    return fail(writer.errors.msg_code == JERR_OUT_OF_MEMORY ? Errc::out_of_memory : Errc::internal,
                "a picture of {}x{} pixels as JPEG: {}", image.width_px, image.height_px, writer.message.data());
  }
  const auto* begin = reinterpret_cast<const std::byte*>(writer.buffer);
  return Bytes(begin, begin + writer.size);
}

}  // namespace escribano
