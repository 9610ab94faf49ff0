#include "recording/screen_change.h"

#include <gtest/gtest.h>

namespace escribano::recording {
namespace {

Luma flat(int width_px, int height_px, std::uint8_t level) {
  return {width_px, height_px,
          std::vector<std::uint8_t>(static_cast<std::size_t>(width_px) * static_cast<std::size_t>(height_px), level)};
}

void fill(Luma& luma, int left, int top, int right, int bottom, std::uint8_t level) {
  for (int y = top; y < bottom; ++y) {
    for (int x = left; x < right; ++x) luma.levels[static_cast<std::size_t>(y * luma.width_px + x)] = level;
  }
}

TEST(Luma, WeighsTheColoursAsTheEyeDoes) {
  const Image image{5, 1, {255, 255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0}};
  EXPECT_EQ(luma_of(image).levels, (std::vector<std::uint8_t>{255, 54, 182, 18, 0}));
}

TEST(BlockChange, EqualPicturesHaveNone) {
  const BlockChange change = block_change(flat(64, 48, 7), flat(64, 48, 7), 0);
  EXPECT_EQ(change.largest, 0);
  EXPECT_EQ(change.share, 0);
}

TEST(BlockChange, ASmallChangeShowsInItsOwnBlockWhole) {
  Luma changed = flat(1280, 720, 30);
  fill(changed, 640, 320, 648, 336, 230);  // half a block
  const BlockChange change = block_change(flat(1280, 720, 30), changed, 4);
  EXPECT_DOUBLE_EQ(change.largest, 100);
  EXPECT_DOUBLE_EQ(change.share, 1.0 / (80 * 45));
}

TEST(BlockMeans, DifferOnlyWhereTheBlocksDo) {
  Luma a = flat(70, 50, 30);  // with blocks that are larger than 16x16 at the edges
  fill(a, 3, 40, 60, 44, 200);
  for (const int noise : {0, 3, 4, 5, 9}) {
    Luma b = a;
    for (std::uint8_t& level : b.levels) level = static_cast<std::uint8_t>(level + noise);
    const bool changed = block_change(a, b, 4).share > 0;
    EXPECT_EQ(means_differ(block_means(a), block_means(b), 4), changed) << noise;
  }
  EXPECT_TRUE(means_differ(block_means(a), block_means(flat(96, 50, 30)), 255));
  EXPECT_EQ(block_means(flat(3, 2, 7)), std::vector<double>{7});
  EXPECT_TRUE(block_means({}).empty());
}

TEST(BlockChange, TheThresholdItselfIsNotExceeded) {
  EXPECT_EQ(block_change(flat(32, 32, 10), flat(32, 32, 14), 4).share, 0);
  EXPECT_EQ(block_change(flat(32, 32, 10), flat(32, 32, 14), 3.9).share, 1);
}

TEST(BlockChange, SidesThatAreNoMultipleOfABlockAreCountedToTheEnd) {
  for (const int width : {1, 15, 17, 31, 33, 1279}) {
    for (const int height : {1, 15, 17, 31, 33}) {
      Luma changed = flat(width, height, 0);
      changed.levels.back() = 255;
      EXPECT_GT(block_change(flat(width, height, 0), changed, 4).largest, 255.0 / (31 * 31 + 1))
          << width << 'x' << height;
      EXPECT_EQ(block_change(flat(width, height, 0), flat(width, height, 255), 4).share, 1) << width << 'x' << height;
      EXPECT_EQ(block_change(flat(width, height, 0), flat(width, height, 255), 4).largest, 255);
    }
  }
}

TEST(BlockChange, PicturesOfOtherSizesHaveChanged) {
  EXPECT_EQ(block_change(flat(32, 32, 0), flat(32, 16, 0), 4).share, 1);
  EXPECT_EQ(block_change(flat(32, 32, 0), flat(32, 16, 0), 4).largest, 255);
}

TEST(DifferenceHash, SaysWhereItGetsBrighter) {
  Luma luma = flat(90, 80, 10);
  EXPECT_EQ(difference_hash(luma), 0u);
  fill(luma, 50, 0, 90, 80, 200);  // from the sixth field on
  EXPECT_EQ(difference_hash(luma), 0x1010101010101010u);
  fill(luma, 0, 10, 90, 80, 0);  // the first row only
  EXPECT_EQ(difference_hash(luma), 0x10u);
}

TEST(DifferenceHash, APictureSmallerThanItsFieldsHasOneToo) {
  EXPECT_EQ(difference_hash(flat(1, 1, 99)), 0u);
  EXPECT_EQ(difference_hash({}), 0u);
}

}  // namespace
}  // namespace escribano::recording
