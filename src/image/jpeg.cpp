#include <array>
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE
#include <utility>

#include <jpeglib.h>
// After jpeglib.h, which it needs.
#include <jerror.h>

#include "image/codecs.h"
#include "image/exif.h"

namespace escribano::codec {
namespace {

constexpr int exif_marker = JPEG_APP0 + 1;

Errc errc_of(int libjpeg_code) {
  switch (libjpeg_code) {
    case JERR_OUT_OF_MEMORY: return Errc::out_of_memory;
    case JERR_IMAGE_TOO_BIG:
    case JERR_WIDTH_OVERFLOW: return Errc::too_large;
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CCIR601_NOTIMPL:
    case JERR_COMPONENT_COUNT:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED: return Errc::unsupported;
    default: return Errc::corrupt;
  }
}

// Warnings after which the picture is still what the encoder meant. All others mean that libjpeg goes on with made-up
// pixels, usually grey rows after a truncation.
bool is_harmless(int libjpeg_code) {
  switch (libjpeg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_NOT_SEQUENTIAL: return true;
    default: return false;
  }
}

// libjpeg and what its callbacks need. libjpeg reports failure by a function that must not return: ours jumps back into
// the function below that made the call, and each of those holds no object with a destructor.
struct Decoder {
  explicit Decoder(int max_scans_allowed) : max_scans(max_scans_allowed) {}
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { jpeg_destroy_decompress(&info); }  // does nothing for a zeroed struct

  [[noreturn]] void give_up(Errc reason) {
    code = reason;
    std::longjmp(escape, 1);
  }
  [[noreturn]] void give_up_with_libjpeg_message() {
    errors.format_message(common(), message.data());
    give_up(errc_of(errors.msg_code));
  }
  j_common_ptr common() { return reinterpret_cast<j_common_ptr>(&info); }
  static Decoder& of(j_common_ptr any) { return *static_cast<Decoder*>(any->client_data); }

  jpeg_decompress_struct info = {};
  jpeg_error_mgr errors = {};
  jpeg_progress_mgr progress = {};
  std::jmp_buf escape = {};
  const int max_scans;
  Errc code = Errc::internal;
  std::array<char, JMSG_LENGTH_MAX> message = {};
};

void on_error(j_common_ptr any) { Decoder::of(any).give_up_with_libjpeg_message(); }

void on_message(j_common_ptr any, int level) {
  constexpr int warning = -1;
  if (level == warning && !is_harmless(any->err->msg_code)) Decoder::of(any).give_up_with_libjpeg_message();
}

void on_progress(j_common_ptr any) {
  Decoder& decoder = Decoder::of(any);
  if (decoder.info.input_scan_number <= decoder.max_scans) return;
  std::snprintf(decoder.message.data(), decoder.message.size(), "more than %d scans", decoder.max_scans);
  decoder.give_up(Errc::too_large);
}

bool read_header(Decoder& decoder, std::span<const std::byte> bytes) {
  decoder.info.err = jpeg_std_error(&decoder.errors);
  decoder.info.client_data = &decoder;
  decoder.errors.error_exit = on_error;
  decoder.errors.emit_message = on_message;
  decoder.progress.progress_monitor = on_progress;
  if (setjmp(decoder.escape) != 0) return false;
  jpeg_create_decompress(&decoder.info);
  decoder.info.progress = &decoder.progress;
  jpeg_mem_src(&decoder.info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&decoder.info, exif_marker, 0xFFFF);
  jpeg_read_header(&decoder.info, TRUE);
  const bool has_ink = decoder.info.jpeg_color_space == JCS_CMYK || decoder.info.jpeg_color_space == JCS_YCCK;
  decoder.info.out_color_space = has_ink ? JCS_CMYK : JCS_RGB;
  return true;
}

// Four bytes a pixel to three. Every CMYK file met in practice stores 255 - ink, after Adobe's programs; rounding is
// Pillow's.
void convert_cmyk_row(const JSAMPLE* cmyk, std::uint8_t* rgb, int width_px) {
  const auto product = [](int a, int b) {
    const int scaled = a * b + 128;
    return (scaled + (scaled >> 8)) >> 8;  // round(a * b / 255)
  };
  for (int x = 0; x < width_px; ++x, cmyk += 4, rgb += 3) {
    const int white = cmyk[3];
    for (int c = 0; c < 3; ++c) rgb[c] = static_cast<std::uint8_t>(white - product(255 - cmyk[c], white));
  }
}

bool read_pixels(Decoder& decoder, std::uint8_t* rgb) {
  if (setjmp(decoder.escape) != 0) return false;
  jpeg_decompress_struct& info = decoder.info;
  jpeg_start_decompress(&info);
  const std::size_t row_bytes = std::size_t{3} * info.output_width;
  const bool has_ink = info.out_color_space == JCS_CMYK;
  JSAMPARRAY ink_row = nullptr;
  if (has_ink) ink_row = info.mem->alloc_sarray(decoder.common(), JPOOL_IMAGE, 4 * info.output_width, 1);
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = rgb + row_bytes * info.output_scanline;
    jpeg_read_scanlines(&info, has_ink ? ink_row : &row, 1);
    if (has_ink) convert_cmyk_row(ink_row[0], row, static_cast<int>(info.output_width));
  }
  jpeg_finish_decompress(&info);  // reads up to the end marker, so that its absence is seen
  return true;
}

int orientation_of(const jpeg_decompress_struct& info) {
  for (const jpeg_marker_struct* marker = info.marker_list; marker != nullptr; marker = marker->next) {
    constexpr std::string_view prefix("Exif\0\0", 6);
    const auto data = std::as_bytes(std::span(marker->data, marker->data_length));
    const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
    if (marker->marker == exif_marker && text.starts_with(prefix)) return exif_orientation(data);
  }
  return 1;
}

}  // namespace

Result<Decoded> decode_jpeg(std::span<const std::byte> bytes, const ImageLimits& limits, std::string_view name) {
  Decoder decoder(limits.max_jpeg_scans);
  const auto failure = [&] { return fail(decoder.code, "{}: JPEG: {}", name, decoder.message.data()); };
  if (!read_header(decoder, bytes)) return failure();
  ESCRIBANO_TRY(Image image, allocate_image(decoder.info.image_width, decoder.info.image_height, limits, name));
  const int orientation = orientation_of(decoder.info);
  if (!read_pixels(decoder, image.rgb.data())) return failure();
  return Decoded{std::move(image), orientation};
}

}  // namespace escribano::codec
