#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "image/encode.h"
#include "image/image.h"
#include "support/temp_folder.h"

namespace escribano {
namespace {

Image decoded(const Bytes& bytes) {
  auto image = decode_image(bytes, {}, "picture");
  EXPECT_TRUE(image) << image.error().message;
  return image ? *std::move(image) : Image{};
}

// Grey levels of the pixels, for pictures that must be grey.
std::vector<int> grey_levels(const Image& image) {
  std::vector<int> levels;
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    EXPECT_EQ(image.rgb[i], image.rgb[i + 1]);
    EXPECT_EQ(image.rgb[i], image.rgb[i + 2]);
    levels.push_back(image.rgb[i]);
  }
  return levels;
}

TEST(DecodeJpeg, BaselineAndProgressiveGiveThePictureBack) {
  const Image image = gradient({37, 21});
  EXPECT_LE(distance(decoded(encode_jpeg(image, {.quality = 100})), image), 6);
  EXPECT_LE(distance(decoded(encode_jpeg(image, {.quality = 100, .progressive = true})), image), 6);
}

TEST(DecodeJpeg, GreyBecomesThreeEqualChannels) {
  const std::vector<std::uint8_t> levels = {0, 100, 240};
  EXPECT_EQ(cell_levels(decoded(encode_jpeg(cells(levels, 3), {.grey = true}))), levels);
}

TEST(DecodeJpeg, InkIsInvertedAndBlackDarkensIt) {
  const Image image = gradient({40, 24});
  EXPECT_LE(distance(decoded(encode_jpeg(image, {.ink = JpegInk::cmyk})), image), 3);
  EXPECT_LE(distance(decoded(encode_jpeg(image, {.ink = JpegInk::ycck})), image), 6);
  Image half = image;
  for (std::uint8_t& level : half.rgb) level = static_cast<std::uint8_t>(level * 128 / 255);
  EXPECT_LE(distance(decoded(encode_jpeg(image, {.ink = JpegInk::cmyk, .white = 128})), half), 3);
}

TEST(DecodePng, RgbIsExact) {
  const Image image = gradient({31, 17});
  EXPECT_EQ(decoded(encode_png(image)), image);
}

TEST(DecodePng, InterlacedIsExact) {
  for (const Size size : {Size{31, 17}, Size{1, 1}, Size{3, 9}}) {
    const Image image = gradient(size);
    EXPECT_EQ(decoded(encode_png(PngSource{
                  .width_px = size.width_px, .height_px = size.height_px, .rows = image.rgb, .interlaced = true})),
              image);
  }
}

TEST(DecodePng, AlphaIsDroppedNotBlended) {
  const PngSource rgba = {.width_px = 2, .height_px = 1, .colour_type = 6, .rows = {10, 20, 30, 0, 40, 50, 60, 128}};
  EXPECT_THAT(decoded(encode_png(rgba)).rgb, testing::ElementsAre(10, 20, 30, 40, 50, 60));
  const PngSource grey_alpha = {.width_px = 2, .height_px = 1, .colour_type = 4, .rows = {7, 0, 200, 255}};
  EXPECT_THAT(grey_levels(decoded(encode_png(grey_alpha))), testing::ElementsAre(7, 200));
}

TEST(DecodePng, ATransparentColourKeepsItsColour) {
  const PngSource rgb = {.width_px = 2, .height_px = 1, .rows = {0, 0, 0, 1, 2, 3}, .has_transparent_colour = true};
  EXPECT_THAT(decoded(encode_png(rgb)).rgb, testing::ElementsAre(0, 0, 0, 1, 2, 3));
  const PngSource grey = {
      .width_px = 2, .height_px = 1, .colour_type = 0, .rows = {0, 9}, .has_transparent_colour = true};
  EXPECT_THAT(grey_levels(decoded(encode_png(grey))), testing::ElementsAre(0, 9));
}

TEST(DecodePng, PaletteOfEveryDepthIsLookedUpAndItsAlphaDropped) {
  const std::vector<std::uint8_t> palette = {10, 20, 30, 40, 50, 60};
  const std::vector<std::uint8_t> expected = {40, 50, 60, 10, 20, 30, 40, 50, 60};
  for (const auto& [depth, row] : std::vector<std::pair<int, std::vector<std::uint8_t>>>{
           {1, {0b10100000}}, {2, {0b01000100}}, {4, {0x10, 0x10}}, {8, {1, 0, 1}}}) {
    for (const std::vector<std::uint8_t>& alpha : {std::vector<std::uint8_t>{}, {0, 128}}) {
      const PngSource source = {.width_px = 3,
                                .height_px = 1,
                                .depth = depth,
                                .colour_type = 3,
                                .rows = row,
                                .palette = palette,
                                .palette_alpha = alpha};
      EXPECT_EQ(decoded(encode_png(source)).rgb, expected) << "depth " << depth << ", alpha " << alpha.size();
    }
  }
}

TEST(DecodePng, GreyOfEveryDepthIsSpreadOver8Bits) {
  const auto levels = [](int depth, std::vector<std::uint8_t> row) {
    return grey_levels(decoded(encode_png(
        PngSource{.width_px = 2, .height_px = 1, .depth = depth, .colour_type = 0, .rows = std::move(row)})));
  };
  EXPECT_THAT(levels(1, {0b01000000}), testing::ElementsAre(0, 255));
  EXPECT_THAT(levels(2, {0b01110000}), testing::ElementsAre(85, 255));
  EXPECT_THAT(levels(4, {0x3F}), testing::ElementsAre(51, 255));
  EXPECT_THAT(levels(8, {3, 250}), testing::ElementsAre(3, 250));
}

TEST(DecodePng, SixteenBitSamplesKeepTheirHighByte) {
  const PngSource grey = {
      .width_px = 2, .height_px = 1, .depth = 16, .colour_type = 0, .rows = {0x12, 0xFF, 0xFE, 0x00}};
  EXPECT_THAT(grey_levels(decoded(encode_png(grey))), testing::ElementsAre(0x12, 0xFE));
  const PngSource grey_alpha = {
      .width_px = 1, .height_px = 1, .depth = 16, .colour_type = 4, .rows = {0x80, 0x80, 0x00, 0x00}};
  EXPECT_THAT(grey_levels(decoded(encode_png(grey_alpha))), testing::ElementsAre(0x80));
  const PngSource rgb = {.width_px = 1, .height_px = 1, .depth = 16, .rows = {1, 255, 2, 255, 3, 255}};
  EXPECT_THAT(decoded(encode_png(rgb)).rgb, testing::ElementsAre(1, 2, 3));
  const PngSource rgba = {
      .width_px = 1, .height_px = 1, .depth = 16, .colour_type = 6, .rows = {1, 255, 2, 255, 3, 255, 0, 0}};
  EXPECT_THAT(decoded(encode_png(rgba)).rgb, testing::ElementsAre(1, 2, 3));
}

TEST(DecodeWebp, LosslessIsExactAndLossyIsClose) {
  const Image image = gradient({33, 18});
  EXPECT_EQ(decoded(encode_webp(image)), image);
  EXPECT_LE(distance(decoded(encode_webp(image, {.lossless = false})), image), 16);
}

TEST(LoadImage, RecognisesTheFormatByContentWhateverTheName) {
  const TempFolder folder;
  const Image image = gradient({8, 8});
  const Bytes webp = encode_webp(image);
  ASSERT_TRUE(write_file_atomically(folder.path() / "shot.png",
                                    std::string(reinterpret_cast<const char*>(webp.data()), webp.size())));
  EXPECT_EQ(load_image(folder.path() / "shot.png", {}).value(), image);
}

}  // namespace
}  // namespace escribano
