#include "recording/rgb_converter.h"

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include <gtest/gtest.h>

extern "C" {
#include <libavutil/pixdesc.h>
}

namespace escribano::recording {
namespace {

struct Case {
  AVPixelFormat format = AV_PIX_FMT_NONE;
  Size stored;
  Size shown;
};

Libav<AVFrame> noise(AVPixelFormat format, Size size) {
  Libav<AVFrame> frame(av_frame_alloc());
  frame->format = format;
  frame->width = size.width_px;
  frame->height = size.height_px;
  if (av_frame_get_buffer(frame.get(), 0) < 0) return nullptr;
  const AVComponentDescriptor& component = av_pix_fmt_desc_get(format)->comp[0];
  std::mt19937 random(1);
  for (const AVBufferRef* buffer : frame->buf) {
    if (buffer == nullptr) continue;
    for (std::size_t i = 0; i + 1 < buffer->size; i += 2) {
      auto two = static_cast<std::uint32_t>(random());
      // Little endian, as the formats below are.
      if (component.depth > 8) two = (two & ((1U << component.depth) - 1)) << component.shift;
      buffer->data[i] = static_cast<std::uint8_t>(two);
      buffer->data[i + 1] = static_cast<std::uint8_t>(two >> 8);
    }
  }
  return frame;
}

// What libswscale itself makes rows of RGB of.
std::vector<std::uint8_t> rows_of_rgb(const AVFrame& frame, Size size, int matrix) {
  constexpr int kScaling = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP | SWS_BITEXACT;
  const Libav<SwsContext> scaler(sws_getContext(frame.width, frame.height, static_cast<AVPixelFormat>(frame.format),
                                                size.width_px, size.height_px, AV_PIX_FMT_RGB24, kScaling, nullptr,
                                                nullptr, nullptr));
  sws_setColorspaceDetails(scaler.get(), sws_getCoefficients(matrix), frame.color_range == AVCOL_RANGE_JPEG ? 1 : 0,
                           sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
  const std::size_t row_bytes = std::size_t{3} * static_cast<std::size_t>(size.width_px);
  const std::size_t stride = row_bytes + 64;
  std::vector<std::uint8_t> padded(stride * static_cast<std::size_t>(size.height_px) + 64);
  const std::array<std::uint8_t*, 4> planes = {padded.data(), nullptr, nullptr, nullptr};
  const std::array<int, 4> strides = {static_cast<int>(stride), 0, 0, 0};
  sws_scale(scaler.get(), frame.data, frame.linesize, 0, frame.height, planes.data(), strides.data());
  std::vector<std::uint8_t> rows;
  for (std::size_t y = 0; y < static_cast<std::size_t>(size.height_px); ++y) {
    const auto row = padded.begin() + static_cast<std::ptrdiff_t>(y * stride);
    rows.insert(rows.end(), row, row + static_cast<std::ptrdiff_t>(row_bytes));
  }
  return rows;
}

class RgbConverterOf : public ::testing::TestWithParam<Case> {};

TEST_P(RgbConverterOf, GivesTheValuesOfLibswscalesRowsOfRgb) {
  const Case& given = GetParam();
  const Libav<AVFrame> frame = noise(given.format, given.stored);
  ASSERT_NE(frame, nullptr);
  for (const AVColorRange range : {AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG}) {
    for (const auto& [space, matrix] :
         {std::pair{AVCOL_SPC_BT709, SWS_CS_ITU709}, {AVCOL_SPC_SMPTE170M, SWS_CS_ITU601}}) {
      frame->color_range = range;
      frame->colorspace = space;
      RgbConverter converter({.stored = given.shown}, "noise");
      const auto image = converter.convert(*frame);
      ASSERT_TRUE(image) << image.error().message;
      EXPECT_EQ(image->size(), given.shown);
      EXPECT_TRUE(image->rgb == rows_of_rgb(*frame, given.shown, matrix)) << "range " << range << ", matrix " << matrix;
    }
  }
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const AVPixelFormat format :
       {AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUV422P, AV_PIX_FMT_YUV444P, AV_PIX_FMT_YUV440P, AV_PIX_FMT_NV12,
        AV_PIX_FMT_YUYV422, AV_PIX_FMT_YUV420P10LE, AV_PIX_FMT_YUV444P10LE, AV_PIX_FMT_P010LE,
        // These are not made of planes.
        AV_PIX_FMT_YUV410P, AV_PIX_FMT_YUVA420P, AV_PIX_FMT_GRAY8, AV_PIX_FMT_BGR0}) {
    for (const Size size : {Size{64, 48}, {67, 43}, {1, 1}}) all.push_back({format, size, size});
    all.push_back({format, {64, 48}, {85, 48}});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Formats, RgbConverterOf, ::testing::ValuesIn(cases()), [](const auto& instance) {
  const Case& given = instance.param;
  return fmt::format("{}_{}x{}_as_{}x{}", av_get_pix_fmt_name(given.format), given.stored.width_px,
                     given.stored.height_px, given.shown.width_px, given.shown.height_px);
});

}  // namespace
}  // namespace escribano::recording
