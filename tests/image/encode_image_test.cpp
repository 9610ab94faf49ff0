#include "image/encode_image.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace escribano {
namespace {

Image smooth(int width_px, int height_px) {
  Image image{width_px, height_px, {}};
  for (int y = 0; y < height_px; ++y) {
    for (int x = 0; x < width_px; ++x) {
      for (const int level : {2 * x, 3 * y, x + y}) image.rgb.push_back(static_cast<std::uint8_t>(level % 256));
    }
  }
  return image;
}

TEST(EncodeImage, APngHasTheSamePixels) {
  for (const auto& [width, height] : {std::pair{1, 1}, {17, 3}, {64, 64}}) {
    const Image image = smooth(width, height);
    const auto png = encode_png(image);
    ASSERT_TRUE(png) << png.error().message;
    EXPECT_EQ(decode_image(*png, {}, "png").value(), image);
  }
}

TEST(EncodeImage, AJpegHasAboutTheSamePixels) {
  const Image image = smooth(64, 48);
  const auto jpeg = encode_jpeg(image, 95);
  ASSERT_TRUE(jpeg) << jpeg.error().message;
  const Image decoded = decode_image(*jpeg, {}, "jpeg").value();
  ASSERT_EQ(decoded.size(), image.size());
  double sum = 0;
  for (std::size_t i = 0; i < image.rgb.size(); ++i) sum += std::abs(decoded.rgb[i] - image.rgb[i]);
  EXPECT_LT(sum / static_cast<double>(image.rgb.size()), 4);
}

TEST(EncodeImage, ALowerQualityTakesLessRoom) {
  const Image image = smooth(640, 480);
  EXPECT_LT(encode_jpeg(image, 20)->size(), encode_jpeg(image, 90)->size());
}

TEST(EncodeImage, WhatIsNoPictureIsRefused) {
  EXPECT_EQ(encode_png({}).error().code, Errc::invalid_argument);
  EXPECT_EQ(encode_png({4, 4, {1, 2, 3}}).error().code, Errc::invalid_argument);
  EXPECT_EQ(encode_jpeg({4, 4, {1, 2, 3}}, 70).error().code, Errc::invalid_argument);
  EXPECT_EQ(encode_jpeg(smooth(4, 4), 0).error().code, Errc::invalid_argument);
  EXPECT_EQ(encode_jpeg(smooth(4, 4), 101).error().code, Errc::invalid_argument);
  EXPECT_EQ(encode_jpeg(Image{70'000, 1, std::vector<std::uint8_t>(210'000)}, 70).error().code, Errc::too_large);
}

TEST(EncodeImage, AStoredPictureIsTurnedUpright) {
  const Image stored{2, 1, {1, 1, 1, 2, 2, 2}};
  EXPECT_EQ(turn_upright(stored, 1), stored);
  EXPECT_EQ(turn_upright(stored, 3), (Image{2, 1, {2, 2, 2, 1, 1, 1}}));
  EXPECT_EQ(turn_upright(stored, 6), (Image{1, 2, {1, 1, 1, 2, 2, 2}}));
  EXPECT_EQ(turn_upright(stored, 8), (Image{1, 2, {2, 2, 2, 1, 1, 1}}));
}

}  // namespace
}  // namespace escribano
