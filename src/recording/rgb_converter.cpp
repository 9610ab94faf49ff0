#include "recording/rgb_converter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

extern "C" {
#include <libavutil/pixdesc.h>
}

#include "recording/container.h"
#include "recording/tone_map.h"

namespace escribano::recording {
namespace {

constexpr int kScaling = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP | SWS_BITEXACT;
constexpr int kMaxStandardDefinitionRows = 576;

const std::int32_t* stream_matrix(const AVStream& stream) {
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
  const AVPacketSideData* data = av_packet_side_data_get(
      stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  return data != nullptr && data->size >= 36 ? reinterpret_cast<const std::int32_t*>(data->data) : nullptr;
#else
  std::size_t size = 0;
  const std::uint8_t* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  return data != nullptr && size >= 36 ? reinterpret_cast<const std::int32_t*>(data) : nullptr;
#endif
}

const std::int32_t* frame_matrix(const AVFrame& frame) {
  const AVFrameSideData* data = av_frame_get_side_data(&frame, AV_FRAME_DATA_DISPLAYMATRIX);
  return data != nullptr && data->size >= 36 ? reinterpret_cast<const std::int32_t*>(data->data) : nullptr;
}

// A stored point (x, y) is shown at (a * x + c * y, b * x + d * y), both axes to the right and down. The nearest right
// angle is taken.
int orientation_of(const std::int32_t* matrix) {
  const std::int64_t a = matrix[0];
  const std::int64_t b = matrix[1];
  const std::int64_t c = matrix[3];
  const std::int64_t d = matrix[4];
  if (std::abs(a) + std::abs(d) >= std::abs(b) + std::abs(c)) {
    if (a < 0) return d < 0 ? 3 : 2;
    return d < 0 ? 4 : 1;
  }
  if (b > 0) return c < 0 ? 6 : 5;
  return c < 0 ? 7 : 8;
}

bool is_full_range(const AVFrame& frame) {
  const auto format = static_cast<AVPixelFormat>(frame.format);
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ444P:
    case AV_PIX_FMT_YUVJ440P:
    case AV_PIX_FMT_YUVJ411P: return true;
    default: break;
  }
  if (frame.color_range != AVCOL_RANGE_UNSPECIFIED) return frame.color_range == AVCOL_RANGE_JPEG;
  // Brightness alone is a picture's grey, not a signal's, unless it says otherwise.
  const AVPixFmtDescriptor* descriptor = av_pix_fmt_desc_get(format);
  return descriptor != nullptr && descriptor->nb_components <= 2 && (descriptor->flags & AV_PIX_FMT_FLAG_PAL) == 0;
}

int matrix_of(const AVFrame& frame) {
  switch (frame.colorspace) {
    case AVCOL_SPC_BT709: return SWS_CS_ITU709;
    case AVCOL_SPC_FCC: return SWS_CS_FCC;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M: return SWS_CS_ITU601;
    case AVCOL_SPC_SMPTE240M: return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL: return SWS_CS_BT2020;
    default: return frame.height <= kMaxStandardDefinitionRows ? SWS_CS_ITU601 : SWS_CS_ITU709;
  }
}

std::optional<Transfer> transfer_of(const AVFrame& frame) {
  if (frame.color_trc == AVCOL_TRC_SMPTE2084) return Transfer::pq;
  if (frame.color_trc == AVCOL_TRC_ARIB_STD_B67) return Transfer::hlg;
  return std::nullopt;
}

Primaries primaries_of(const AVFrame& frame) {
  switch (frame.color_primaries) {
    case AVCOL_PRI_BT709: return Primaries::bt709;
    case AVCOL_PRI_SMPTE431:
    case AVCOL_PRI_SMPTE432: return Primaries::p3;
    default: return Primaries::bt2020;
  }
}

// Brightness and two colours, each colour for at most two pixels a side. Of these libswscale writes planes of RGB with vector
// code and rows of RGB without, so that planes take a seventh of the time; the values are the same, which
// pixels_test.cpp checks.
bool is_common_yuv(AVPixelFormat format) {
  const AVPixFmtDescriptor* descriptor = av_pix_fmt_desc_get(format);
  constexpr std::uint64_t kOther = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_ALPHA |
                                   AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_FLOAT;
  return descriptor != nullptr && descriptor->nb_components == 3 && (descriptor->flags & kOther) == 0 &&
         descriptor->log2_chroma_w <= 1 && descriptor->log2_chroma_h <= 1;
}

// `count` pixels.
void interleave(const std::uint8_t* red, const std::uint8_t* green, const std::uint8_t* blue, std::size_t count,
                std::uint8_t* out) {
  for (std::size_t i = 0; i < count; ++i, out += 3) {
    out[0] = red[i];
    out[1] = green[i];
    out[2] = blue[i];
  }
}

}  // namespace

Result<Presentation> presentation_of(const AVStream& stream, const AVFrame& first, const std::string& name) {
  Presentation presentation;
  std::int64_t width = first.width;
  std::int64_t height = first.height;
  if (width < 1 || height < 1) return fail(Errc::unsupported, "{}: its pictures have no size", name);
  AVRational pixel = stream.sample_aspect_ratio;
  if (pixel.num <= 0 || pixel.den <= 0) pixel = first.sample_aspect_ratio;
  if (pixel.num > 0 && pixel.den > 0) {
    // Enlarged rather than shrunk, so that no text is lost.
    if (pixel.num > pixel.den) width = av_rescale(width, pixel.num, pixel.den);
    if (pixel.num < pixel.den) height = av_rescale(height, pixel.den, pixel.num);
  }
  if (width > kMaxPixels || height > kMaxPixels || width * height > kMaxPixels) {
    return fail(Errc::too_large, "{}: {}x{} pixels; the limit is {}", name, width, height, kMaxPixels);
  }
  presentation.stored = {static_cast<int>(width), static_cast<int>(height)};
  const std::int32_t* matrix = stream_matrix(stream);
  if (matrix == nullptr) matrix = frame_matrix(first);
  if (matrix != nullptr) presentation.orientation = orientation_of(matrix);
  return presentation;
}

Status RgbConverter::choose_scaler(const AVFrame& frame, AVPixelFormat to, Size size) {
  const bool full_range = is_full_range(frame);
  const int matrix = matrix_of(frame);
  const int scaling = to == AV_PIX_FMT_GRAY8 ? SWS_AREA | SWS_BITEXACT | SWS_ACCURATE_RND : kScaling;
  std::vector<std::int64_t> key = {frame.width,    frame.height, frame.format, to,     size.width_px,
                                   size.height_px, full_range,   matrix,       scaling};
  if (scaler_ && key == scaler_key_) return {};
  const auto from = static_cast<AVPixelFormat>(frame.format);
  if (sws_isSupportedInput(from) == 0) {
    const char* format = av_get_pix_fmt_name(from);
    return fail(Errc::unsupported, "{}: pixels of the kind {} cannot be converted", name_,
                format != nullptr ? format : "?");
  }
  scaler_.reset(sws_getContext(frame.width, frame.height, from, size.width_px, size.height_px, to, scaling, nullptr,
                               nullptr, nullptr));
  if (!scaler_) return fail(Errc::out_of_memory, "{}: its pictures cannot be converted", name_);
  // Refused for pictures that are RGB already, which have neither.
  sws_setColorspaceDetails(scaler_.get(), sws_getCoefficients(matrix), full_range ? 1 : 0,
                           sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
  scaler_key_ = std::move(key);
  return {};
}

// Into `planes` planes of `padded_`, one below the other. Returns how many bytes lie between rows.
Result<std::size_t> RgbConverter::scale(const AVFrame& frame, AVPixelFormat to, Size size, std::size_t row_bytes,
                                        std::size_t planes) {
  ESCRIBANO_CHECK(choose_scaler(frame, to, size));
  // The scaler writes whole vectors, beyond the end of a row of any other length.
  constexpr std::size_t kVectorBytes = 64;
  const std::size_t stride = (row_bytes + kVectorBytes - 1) / kVectorBytes * kVectorBytes;
  const std::size_t plane_bytes = stride * static_cast<std::size_t>(size.height_px);
  padded_.resize(planes * plane_bytes + kVectorBytes);
  std::array<std::uint8_t*, 4> out = {};
  std::array<int, 4> strides = {};
  for (std::size_t i = 0; i < planes; ++i) {
    out[i] = padded_.data() + i * plane_bytes;
    strides[i] = static_cast<int>(stride);
  }
  const int rows = sws_scale(scaler_.get(), frame.data, frame.linesize, 0, frame.height, out.data(), strides.data());
  if (rows != size.height_px) return fail(Errc::unsupported, "{}: its pictures cannot be converted", name_);
  return stride;
}

Status RgbConverter::scale_packed(const AVFrame& frame, AVPixelFormat to, Size size, std::uint8_t* out,
                                  std::size_t row_bytes) {
  ESCRIBANO_TRY(const std::size_t stride, scale(frame, to, size, row_bytes, 1));
  for (std::size_t y = 0; y < static_cast<std::size_t>(size.height_px); ++y) {
    std::memcpy(out + y * row_bytes, padded_.data() + y * stride, row_bytes);
  }
  return {};
}

Status RgbConverter::scale_to_rgb(const AVFrame& frame, Size size, std::uint8_t* out) {
  const auto width = static_cast<std::size_t>(size.width_px);
  const auto height = static_cast<std::size_t>(size.height_px);
  if (!is_common_yuv(static_cast<AVPixelFormat>(frame.format))) {
    return scale_packed(frame, AV_PIX_FMT_RGB24, size, out, 3 * width);
  }
  ESCRIBANO_TRY(const std::size_t stride, scale(frame, AV_PIX_FMT_GBRP, size, width, 3));
  for (std::size_t y = 0; y < height; ++y) {
    const std::uint8_t* green = padded_.data() + y * stride;
    interleave(green + 2 * height * stride, green, green + height * stride, width, out + 3 * y * width);
  }
  return {};
}

Result<Image> RgbConverter::convert(const AVFrame& frame) {
  const Size size = presentation_.stored;
  const std::size_t samples =
      std::size_t{3} * static_cast<std::size_t>(size.width_px) * static_cast<std::size_t>(size.height_px);
  const std::size_t row_samples = std::size_t{3} * static_cast<std::size_t>(size.width_px);
  Image image{size.width_px, size.height_px, std::vector<std::uint8_t>(samples)};
  if (const auto transfer = transfer_of(frame)) {
    deep_.resize(samples);
    ESCRIBANO_CHECK(scale_packed(frame, AV_PIX_FMT_RGB48, size, reinterpret_cast<std::uint8_t*>(deep_.data()),
                                 row_samples * sizeof(std::uint16_t)));
    tone_map(deep_, *transfer, primaries_of(frame), image.rgb);
  } else {
    ESCRIBANO_CHECK(scale_to_rgb(frame, size, image.rgb.data()));
  }
  return turn_upright(std::move(image), presentation_.orientation);
}

Result<Luma> RgbConverter::small_luma(const AVFrame& frame, int max_width_px) {
  Size size = presentation_.stored;
  if (size.width_px > max_width_px) {
    size.height_px = std::max(static_cast<int>(std::int64_t{size.height_px} * max_width_px / size.width_px), 1);
    size.width_px = max_width_px;
  }
  Luma luma{size.width_px, size.height_px, {}};
  luma.levels.resize(static_cast<std::size_t>(size.width_px) * static_cast<std::size_t>(size.height_px));
  ESCRIBANO_CHECK(
      scale_packed(frame, AV_PIX_FMT_GRAY8, size, luma.levels.data(), static_cast<std::size_t>(size.width_px)));
  return luma;
}

}  // namespace escribano::recording
