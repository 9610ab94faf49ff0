#include "image/resize.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/mix.h"

namespace escribano {
namespace {

struct SizeCase {
  Size original;
  PixelRule rule;
  Size expected;
};

// Made with smart_resize of transformers 5.23.
const SizeCase size_cases[] = {
    {{1280, 720}, {16, 2, 65536, 262144}, {672, 384}},
    {{1280, 720}, {16, 2, 65536, 16777216}, {1280, 704}},  // 22.5 tokens: to even, so down
    {{1920, 1080}, {16, 2, 65536, 16777216}, {1920, 1088}},
    {{6016, 3384}, {16, 2, 65536, 16777216}, {5440, 3072}},
    {{672, 384}, {16, 2, 65536, 262144}, {672, 384}},
    {{1000, 720}, {16, 2, 65536, 16777216}, {992, 704}},
    {{272, 304}, {16, 2, 65536, 16777216}, {256, 320}},  // 8.5 and 9.5 tokens
    {{336, 400}, {16, 2, 65536, 16777216}, {320, 384}},  // 10.5 and 12.5 tokens
    {{16, 16}, {16, 2, 1, 16777216}, {32, 32}},          // half a token rounds to none, and is enlarged to one
    {{48, 48}, {16, 2, 1, 16777216}, {64, 64}},
    {{80, 80}, {16, 2, 1, 16777216}, {64, 64}},
    {{1, 1}, {16, 2, 65536, 16777216}, {256, 256}},
    {{3, 600}, {16, 2, 65536, 16777216}, {32, 3648}},
    {{600, 3}, {16, 2, 65536, 16777216}, {3648, 32}},
    {{15, 3000}, {14, 2, 3136, 12845056}, {28, 2996}},
    {{8000, 40}, {16, 2, 65536, 262144}, {8000, 32}},
    {{100000, 500}, {16, 2, 65536, 65536}, {3616, 32}},
    {{28, 28}, {14, 2, 3136, 12845056}, {56, 56}},
    {{70, 98}, {14, 2, 3136, 12845056}, {56, 112}},
    {{256, 256}, {16, 2, 65536, 65536}, {256, 256}},
    {{257, 257}, {16, 2, 65536, 65536}, {256, 256}},
    {{255, 255}, {16, 2, 65536, 65536}, {256, 256}},
    {{8, 8}, {16, 2, 1, 1}, {32, 32}},  // never less than one token
};

TEST(ModelImageSize, IsThatOfTheReferenceImplementation) {
  for (const SizeCase& c : size_cases) {
    const auto size = model_image_size(c.original, c.rule);
    ASSERT_TRUE(size) << size.error().message;
    EXPECT_EQ(*size, c.expected) << c.original.width_px << "x" << c.original.height_px << " became " << size->width_px
                                 << "x" << size->height_px;
  }
}

TEST(ModelImageSize, RefusesARatioAbove200) {
  EXPECT_TRUE(model_image_size({200, 1}, {}));
  for (const Size size : {Size{201, 1}, Size{1, 201}, Size{2001, 10}}) {
    const auto result = model_image_size(size, {});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::unsupported);
    EXPECT_THAT(result.error().message, testing::HasSubstr("more than 200 times"));
  }
}

TEST(ModelImageSize, RefusesSizesAndRulesThatMakeNoSense) {
  for (const Size size : {Size{0, 5}, Size{5, 0}, Size{-3, 5}}) {
    EXPECT_EQ(model_image_size(size, {}).error().code, Errc::invalid_argument);
  }
  for (const PixelRule& rule :
       {PixelRule{0, 2, 1, 2}, PixelRule{16, 0, 1, 2}, PixelRule{16, 2, 0, 2}, PixelRule{16, 2, 3, 2}}) {
    EXPECT_EQ(model_image_size({100, 100}, rule).error().code, Errc::invalid_argument);
  }
}

TEST(ModelImageSize, RefusesResultsBeyondInt) {
  const std::int64_t most = std::int64_t{1} << 62;
  EXPECT_EQ(model_image_size({200, 1}, {16, 2, most, most}).error().code, Errc::too_large);
}

Image pattern(Size size) {
  Image image{size.width_px, size.height_px, {}};
  for (int y = 0; y < size.height_px; ++y) {
    for (int x = 0; x < size.width_px; ++x) {
      for (int c = 0; c < 3; ++c)
        image.rgb.push_back(static_cast<std::uint8_t>(x * x * 7 + y * 29 + c * 85 + x * y * 3));
    }
  }
  return image;
}

TEST(ResizeMix, IsTheSameWithAndWithoutVectorInstructions) {
  std::mt19937 random(1);
  std::vector<std::uint8_t> bytes(64 * resize::lanes);
  std::vector<std::int16_t> weights(64);
  for (int round = 0; round < 2000; ++round) {
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(round % 2 == 0 ? random() : random() % 2 * 255);
    for (std::int16_t& weight : weights) weight = static_cast<std::int16_t>(random());
    const int count = static_cast<int>(random() % 64);
    const int precision_bits = 1 + static_cast<int>(random() % 22);
    EXPECT_EQ(resize::mix(bytes.data(), resize::lanes, weights.data(), count, precision_bits),
              resize::mix_portably(bytes.data(), resize::lanes, weights.data(), count, precision_bits));
  }
}

TEST(ResizeTurn, ExchangesRowsAndColumnsWithAndWithoutVectorInstructions) {
  constexpr std::ptrdiff_t kStep = resize::lanes + 3;
  std::vector<std::uint8_t> from(kStep * resize::lanes);
  std::mt19937 random(1);
  for (std::uint8_t& byte : from) byte = static_cast<std::uint8_t>(random());
  std::vector<std::uint8_t> turned(resize::lanes * resize::lanes);
  std::vector<std::uint8_t> portably(turned.size());
  resize::turn(from.data(), kStep, turned.data());
  resize::turn_portably(from.data(), kStep, portably.data());
  EXPECT_EQ(turned, portably);
  EXPECT_EQ(turned[5 * resize::lanes + 9], from[9 * kStep + 5]);
}

TEST(ResizeBicubic, ARowIsTheSameAloneAndAmongOthers) {
  const Image image = pattern({53, 37});  // neither side a multiple of what is mixed at once
  for (const int width_px : {1, 16, 31, 90}) {
    const Image resized = resize_bicubic(image, {width_px, 37});
    const std::size_t row_bytes = 3 * static_cast<std::size_t>(width_px);
    for (std::size_t y = 0; y < 37; ++y) {
      const std::uint8_t* row = image.rgb.data() + y * 3 * 53;
      const Image alone = resize_bicubic({53, 1, {row, row + 3 * 53}}, {width_px, 1});
      EXPECT_TRUE(std::equal(alone.rgb.begin(), alone.rgb.end(),
                             resized.rgb.begin() + static_cast<std::ptrdiff_t>(y * row_bytes)))
          << "row " << y << " of " << width_px;
    }
  }
}

struct ResizeCase {
  Size from;
  Size to;
  std::vector<std::uint8_t> expected;
};

// Made with torch 2.15: torchvision.transforms.v2.functional.resize of the pattern as uint8, bicubic, antialias=True.
const ResizeCase resize_cases[] = {
    {{13, 9}, {5, 4}, {29,  119, 201, 112, 155, 107, 148, 108, 109, 150, 122, 120, 143, 129, 149,
                       103, 193, 76,  149, 111, 106, 118, 121, 114, 131, 148, 113, 122, 118, 127,
                       180, 140, 84,  141, 117, 143, 131, 119, 132, 134, 132, 152, 128, 135, 132,
                       142, 64,  159, 104, 135, 133, 130, 110, 132, 151, 120, 109, 118, 108, 126}},
    {{4, 3}, {7, 5}, {0,  82,  167, 0,  84,  169, 4,   89,  174, 14,  99,  182, 27,  112, 198, 50, 135, 234,
                      63, 148, 254, 9,  93,  178, 10,  95,  180, 16,  101, 185, 26,  111, 208, 41, 126, 218,
                      64, 149, 176, 78, 163, 151, 28,  113, 198, 31,  116, 201, 38,  123, 208, 49, 134, 235,
                      65, 150, 224, 90, 175, 82,  104, 189, 0,   48,  133, 218, 52,  137, 228, 60, 145, 235,
                      73, 158, 166, 90, 175, 84,  116, 201, 43,  130, 215, 26,  59,  144, 229, 63, 148, 244,
                      72, 157, 250, 86, 171, 117, 104, 189, 0,   131, 216, 28,  145, 230, 60}},
    {{200, 3}, {2, 1}, {131, 126, 122, 132, 124, 123}},
    {{1, 1}, {3, 2}, {0, 85, 170, 0, 85, 170, 0, 85, 170, 0, 85, 170, 0, 85, 170, 0, 85, 170}},
};

TEST(ResizeBicubic, IsThatOfTheReferenceImplementationToTheBit) {
  for (const ResizeCase& c : resize_cases) {
    const Image resized = resize_bicubic(pattern(c.from), c.to);
    EXPECT_EQ(resized.size(), c.to);
    EXPECT_EQ(resized.rgb, c.expected);
  }
}

TEST(ResizeBicubic, LeavesAnImageOfTheRightSizeAlone) {
  const Image image = pattern({19, 7});
  EXPECT_EQ(resize_bicubic(image, image.size()), image);
}

TEST(ResizeBicubic, KeepsTheOtherAxisWhereOnlyOneChanges) {
  const Image image = pattern({19, 7});
  const Image taller = resize_bicubic(image, {19, 70});
  const Image wider = resize_bicubic(image, {190, 7});
  EXPECT_EQ(resize_bicubic(taller, {190, 70}).size(), (Size{190, 70}));
  // Enlarging one axis and then the other is what enlarging both does, horizontal first.
  EXPECT_EQ(resize_bicubic(wider, {190, 70}), resize_bicubic(image, {190, 70}));
}

TEST(ResizeBicubic, AFlatImageStaysFlat) {
  for (const std::uint8_t level : std::vector<std::uint8_t>{0, 1, 127, 128, 255}) {
    const Image flat{41, 33, std::vector<std::uint8_t>(3 * 41 * 33, level)};
    for (const Size to : {Size{7, 5}, Size{40, 32}, Size{100, 90}, Size{1, 1}, Size{41, 1}}) {
      EXPECT_THAT(resize_bicubic(flat, to).rgb, testing::Each(level));
    }
  }
}

TEST(ResizeBicubic, NothingComesOfAnEmptySizeOrOfMissingPixels) {
  EXPECT_EQ(resize_bicubic(pattern({4, 4}), {0, 4}), Image{});
  EXPECT_EQ(resize_bicubic(pattern({4, 4}), {4, -1}), Image{});
  EXPECT_EQ(resize_bicubic({}, {4, 4}), Image{});
  EXPECT_EQ(resize_bicubic({2, 2, {1, 2, 3}}, {4, 4}), Image{});
}

}  // namespace
}  // namespace escribano
