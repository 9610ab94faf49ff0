#include "image/hash.h"

#include <unordered_set>

#include <gtest/gtest.h>

namespace escribano {
namespace {

TEST(HashImage, IsXxh3OfThePixelsSeededWithTheSize) {
  Image image{13, 9, {}};
  for (int y = 0; y < 9; ++y) {
    for (int x = 0; x < 13; ++x) {
      for (int c = 0; c < 3; ++c)
        image.rgb.push_back(static_cast<std::uint8_t>(x * x * 7 + y * 29 + c * 85 + x * y * 3));
    }
  }
  // Made with the xxhash package of Python: xxh3_128 of the bytes, seed 13 << 32 | 9.
  EXPECT_EQ(hash_image(image), (ImageHash{0x1a9c385e5710de50, 0xeb16262cb38f086d}));
}

TEST(HashImage, TellsApartEveryChangedByteAndEveryShapeOfTheSamePixels) {
  std::unordered_set<ImageHash> seen;
  Image image{6, 4, std::vector<std::uint8_t>(3 * 6 * 4)};
  seen.insert(hash_image(image));
  for (std::uint8_t& level : image.rgb) {
    level = 1;
    seen.insert(hash_image(image));
    level = 0;
  }
  for (const int width_px : {1, 2, 3, 4, 8, 12, 24}) seen.insert(hash_image({width_px, 24 / width_px, image.rgb}));
  EXPECT_EQ(seen.size(), 1 + 72 + 7u);
}

TEST(HashImage, EqualPicturesHaveEqualHashes) {
  const Image image{2, 1, {1, 2, 3, 4, 5, 6}};
  EXPECT_EQ(hash_image(image), hash_image(Image(image)));
  EXPECT_EQ(hash_image({}), hash_image({}));
}

}  // namespace
}  // namespace escribano
