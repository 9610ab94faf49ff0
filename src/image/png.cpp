#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <utility>

#include <png.h>

#include "image/codecs.h"
#include "image/exif.h"

namespace escribano::codec {
namespace {

// Layout of a PNG file: the signature, then chunks of length (4 bytes, big endian), type (4), data, CRC (4).
constexpr std::size_t signature_bytes = 8;
constexpr std::size_t chunk_overhead_bytes = 12;
constexpr std::size_t header_data_bytes = 13;
// Larger metadata is refused; no chunk that we read needs more. libpng's own default where it was built with one.
constexpr png_alloc_size_t max_chunk_bytes = 8'000'000;

std::size_t big_endian_32(std::span<const std::byte> bytes, std::size_t offset) {
  std::size_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<std::size_t>(bytes[offset + i]);
  return value;
}

// The data of the first chunk of this type that lies whole in the file; empty if there is none.
std::span<const std::byte> find_chunk(std::span<const std::byte> bytes, std::string_view type) {
  std::span<const std::byte> rest = bytes.subspan(signature_bytes);
  while (rest.size() >= chunk_overhead_bytes) {
    const std::size_t length = big_endian_32(rest, 0);
    if (length > rest.size() - chunk_overhead_bytes) break;
    if (std::memcmp(rest.data() + 4, type.data(), type.size()) == 0) return rest.subspan(8, length);
    rest = rest.subspan(chunk_overhead_bytes + length);
  }
  return {};
}

// libpng and what its callbacks need. libpng reports failure by a function that must not return: ours jumps back into
// the function below that made the call, and each of those holds no object with a destructor.
struct Decoder {
  explicit Decoder(std::span<const std::byte> bytes) : rest(bytes) {}
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }

  [[noreturn]] void give_up(const char* reason) {
    std::snprintf(message.data(), message.size(), "%s", reason);
    std::longjmp(escape, 1);
  }

  png_structp png = nullptr;
  png_infop info = nullptr;
  std::span<const std::byte> rest;
  std::jmp_buf escape = {};
  std::array<char, 200> message = {};
};

void on_error(png_structp png, png_const_charp message) {
  static_cast<Decoder*>(png_get_error_ptr(png))->give_up(message);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep out, std::size_t length) {
  Decoder& decoder = *static_cast<Decoder*>(png_get_io_ptr(png));
  if (length > decoder.rest.size()) decoder.give_up("the file ends too early");
  std::memcpy(out, decoder.rest.data(), length);
  decoder.rest = decoder.rest.subspan(length);
}

// Everything up to the pixels, and how they shall be delivered: 8-bit RGB rows.
bool read_header(Decoder& decoder) {
  if (setjmp(decoder.escape) != 0) return false;
  decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, on_error, on_warning);
  if (decoder.png == nullptr) decoder.give_up("libpng cannot be started");
  png_structp png = decoder.png;
  decoder.info = png_create_info_struct(png);
  if (decoder.info == nullptr) decoder.give_up("libpng cannot be started");
  png_set_read_fn(png, &decoder, on_read);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // the size was checked before
  png_set_chunk_malloc_max(png, max_chunk_bytes);
  // Damage in metadata is damage to the file; libpng would only warn.
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  // Texts, profiles and the like are skipped unread: some of them are compressed, which invites bombs.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(png, decoder.info);

  png_set_expand(png);  // palette and less than 8 bits to 8 bits a sample
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
  return true;
}

bool read_pixels(Decoder& decoder, std::uint8_t* rgb, std::size_t width_px, std::size_t height_px) {
  if (setjmp(decoder.escape) != 0) return false;
  png_structp png = decoder.png;
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, decoder.info);
  const std::size_t row_bytes = 3 * width_px;
  // What was allocated for follows from the first IHDR in the file; this is what libpng is about to write.
  if (png_get_image_height(png, decoder.info) != height_px || png_get_rowbytes(png, decoder.info) != row_bytes) {
    decoder.give_up("contradictory headers");
  }
  for (int pass = 0; pass < passes; ++pass) {
    for (std::size_t y = 0; y < height_px; ++y) png_read_row(png, rgb + y * row_bytes, nullptr);
  }
  png_read_end(png, nullptr);  // checks what follows the pixels, up to the end chunk
  return true;
}

}  // namespace

Result<Decoded> decode_png(std::span<const std::byte> bytes, const ImageLimits& limits, std::string_view name) {
  // libpng wants to see more than the header before it tells the size, so a file that claims 60,000x60,000 and holds
  // nothing else would be called truncated.
  const std::span<const std::byte> header = find_chunk(bytes, "IHDR");
  if (header.size() != header_data_bytes) return fail(Errc::corrupt, "{}: PNG: the header is incomplete", name);
  const std::size_t width_px = big_endian_32(header, 0);
  const std::size_t height_px = big_endian_32(header, 4);
  ESCRIBANO_CHECK(check_size(width_px, height_px, limits, name));

  Decoder decoder(bytes);
  const auto failure = [&] { return fail(Errc::corrupt, "{}: PNG: {}", name, decoder.message.data()); };
  if (!read_header(decoder)) return failure();
  ESCRIBANO_TRY(Image image, allocate_image(width_px, height_px, limits, name));
  if (!read_pixels(decoder, image.rgb.data(), width_px, height_px)) return failure();
  return Decoded{std::move(image), exif_orientation(find_chunk(bytes, "eXIf"))};
}

}  // namespace escribano::codec
