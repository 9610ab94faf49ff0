#include <cstring>
#include <utility>

#include <webp/decode.h>

#include "image/codecs.h"
#include "image/exif.h"

namespace escribano::codec {
namespace {

// Layout of a WebP file: "RIFF", length, "WEBP", then chunks of type (4 bytes), length (4, little endian), data, and one
// byte of padding after data of odd length.
constexpr std::size_t file_header_bytes = 12;
constexpr std::size_t chunk_header_bytes = 8;

// The data of the first chunk of this type that lies whole in the file; empty if there is none.
std::span<const std::byte> find_chunk(std::span<const std::byte> bytes, std::string_view type) {
  std::span<const std::byte> rest = bytes.subspan(file_header_bytes);
  while (rest.size() >= chunk_header_bytes) {
    std::size_t length = 0;
    for (std::size_t i = 4; i > 0; --i) length = length << 8 | std::to_integer<std::size_t>(rest[3 + i]);
    if (length > rest.size() - chunk_header_bytes) break;
    if (std::memcmp(rest.data(), type.data(), type.size()) == 0) return rest.subspan(chunk_header_bytes, length);
    const std::size_t padded = length + length % 2;
    if (padded > rest.size() - chunk_header_bytes) break;
    rest = rest.subspan(chunk_header_bytes + padded);
  }
  return {};
}

tl::unexpected<Error> failure(VP8StatusCode status, std::string_view name) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY: return fail(Errc::out_of_memory, "{}: WebP: no memory for decoding", name);
    case VP8_STATUS_UNSUPPORTED_FEATURE: return fail(Errc::unsupported, "{}: WebP: a feature we do not know", name);
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA: return fail(Errc::corrupt, "{}: WebP: the file ends too early", name);
    default: return fail(Errc::corrupt, "{}: WebP: contradictory or damaged data", name);
  }
}

}  // namespace

Result<Decoded> decode_webp(std::span<const std::byte> bytes, const ImageLimits& limits, std::string_view name) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) return fail(Errc::internal, "{}: WebP: libwebp has another version", name);
  if (const auto status = WebPGetFeatures(data, bytes.size(), &config.input); status != VP8_STATUS_OK) {
    return failure(status, name);
  }
  if (config.input.has_animation) return fail(Errc::unsupported, "{}: WebP: animations are not supported", name);
  ESCRIBANO_TRY(Image image, allocate_image(static_cast<std::uint64_t>(config.input.width),
                                            static_cast<std::uint64_t>(config.input.height), limits, name));
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = image.rgb.data();
  config.output.u.RGBA.stride = 3 * image.width_px;
  config.output.u.RGBA.size = image.rgb.size();
  if (const auto status = WebPDecode(data, bytes.size(), &config); status != VP8_STATUS_OK) {
    return failure(status, name);
  }
  return Decoded{std::move(image), exif_orientation(find_chunk(bytes, "EXIF"))};
}

}  // namespace escribano::codec
