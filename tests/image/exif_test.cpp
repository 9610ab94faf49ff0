#include "image/exif.h"

#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "image/encode.h"
#include "image/image.h"

namespace escribano {
namespace {

struct Turned {
  int orientation;
  int columns;
  std::vector<std::uint8_t> levels;
};

// What a picture stored as
//    20  60 100
//   140 180 220
// looks like for each orientation.
const std::vector<std::uint8_t> stored = {20, 60, 100, 140, 180, 220};
const Turned turned[] = {
    {0, 3, {20, 60, 100, 140, 180, 220}},  // not an orientation: left as it is
    {1, 3, {20, 60, 100, 140, 180, 220}},  //
    {2, 3, {100, 60, 20, 220, 180, 140}},  // mirrored
    {3, 3, {220, 180, 140, 100, 60, 20}},  // upside down
    {4, 3, {140, 180, 220, 20, 60, 100}},  // upside down and mirrored
    {5, 2, {20, 140, 60, 180, 100, 220}},  // mirrored along the main diagonal
    {6, 2, {140, 20, 180, 60, 220, 100}},  // to be turned clockwise
    {7, 2, {220, 100, 180, 60, 140, 20}},  // mirrored along the other diagonal
    {8, 2, {100, 220, 60, 180, 20, 140}},  // to be turned counter-clockwise
    {9, 3, {20, 60, 100, 140, 180, 220}},
};

TEST(ExifOrientation, IsAppliedInEveryFormatAndByteOrder) {
  const Image image = cells(stored, 3);
  for (const Turned& expected : turned) {
    for (const bool big_endian : {false, true}) {
      SCOPED_TRACE("orientation " + std::to_string(expected.orientation) + (big_endian ? ", big" : ", little") +
                   " endian");
      const Bytes exif = exif_block(expected.orientation, big_endian);
      for (const Bytes& file :
           {encode_jpeg(image, {.exif = exif}), encode_png(image, exif), encode_webp(image, {.exif = exif})}) {
        const auto decoded = decode_image(file, {}, "picture");
        ASSERT_TRUE(decoded) << decoded.error().message;
        EXPECT_EQ(decoded->width_px, expected.columns * 16);
        EXPECT_EQ(cell_levels(*decoded), expected.levels);
      }
    }
  }
}

TEST(ExifParser, AcceptsThePrefixOfJpeg) {
  Bytes block = exif_block(6, true);
  EXPECT_EQ(exif_orientation(block), 6);
  for (const char c : {'\0', '\0', 'f', 'i', 'x', 'E'}) block.insert(block.begin(), static_cast<std::byte>(c));
  EXPECT_EQ(exif_orientation(block), 6);
}

TEST(ExifParser, ABlockCutAnywhereBeforeTheEndOfTheEntryIsUpright) {
  const Bytes block = exif_block(8, false);
  const std::size_t end_of_entry = 8 + 2 + 2 * 12;
  for (std::size_t length = 0; length < block.size(); ++length) {
    const Bytes cut(block.begin(), block.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_EQ(exif_orientation(cut), length < end_of_entry ? 1 : 8) << length;
  }
}

TEST(ExifParser, OffsetsBeyondTheBlockAreUpright) {
  for (const std::byte high : {std::byte{0x00}, std::byte{0x7F}, std::byte{0xFF}}) {
    Bytes block = exif_block(8, true);
    block[4] = block[5] = high;
    block[6] = block[7] = std::byte{0xFF};
    EXPECT_EQ(exif_orientation(block), 1);
  }
}

TEST(ExifParser, AnOrientationOfAnotherTypeOrCountIsUpright) {
  const std::size_t entry = 8 + 2 + 12;
  Bytes long_type = exif_block(8, true);
  long_type[entry + 3] = std::byte{4};
  EXPECT_EQ(exif_orientation(long_type), 1);
  Bytes two_values = exif_block(8, true);
  two_values[entry + 7] = std::byte{2};
  EXPECT_EQ(exif_orientation(two_values), 1);
}

}  // namespace
}  // namespace escribano
