// Which frames are described, and whose description the others share, shown on pictures made for the purpose.
#include "recording/frame_series.h"

#include <cstdint>
#include <optional>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace escribano::recording {
namespace {

using ::testing::ElementsAre;

using Sources = std::vector<std::optional<std::size_t>>;

// A screen with a square at a place of its own, on a grey that may differ a little, as encoding adds it.
Image screen(int number, int noise = 0, int width_px = 160, int height_px = 96) {
  Image image{width_px, height_px,
              std::vector<std::uint8_t>(static_cast<std::size_t>(width_px * height_px * 3),
                                        static_cast<std::uint8_t>(60 + noise))};
  const int columns = width_px / 8;
  const int left = number % columns * 8;
  const int top = number / columns * 8;
  for (int y = top; y < top + 8; ++y) {
    for (int x = left * 3; x < (left + 8) * 3; ++x) {
      image.rgb[static_cast<std::size_t>(y * width_px * 3 + x)] = 250;
    }
  }
  return image;
}

class FrameSeriesTest : public ::testing::Test {
 protected:
  // Whose description each of them shares.
  Sources sources(const std::vector<Image>& pictures) {
    FrameSeries series(options);
    std::int64_t at_ms = 0;
    for (const Image& picture : pictures) EXPECT_TRUE(series.add(at_ms += 1000, SampleReason::interval, picture));
    Sources all;
    changes.clear();
    for (const SampledFrame& frame : series.frames()) {
      all.push_back(frame.source);
      changes.push_back(frame.change);
      EXPECT_EQ(frame.thumbnail.empty(), frame.source.has_value());
    }
    return all;
  }

  SamplingOptions options;
  std::vector<double> changes;
};

TEST_F(FrameSeriesTest, AScreenThatComesBackUpToNoiseIsNotDescribedAgain) {
  EXPECT_EQ(sources({screen(1), screen(2), screen(3), screen(1, 2), screen(1, 3), screen(2, -2)}),
            (Sources{{}, {}, {}, 0, 0, 1}));
  EXPECT_NEAR(changes[3], 2, 0.1);
  EXPECT_NEAR(changes[5], 2, 0.1);
}

TEST_F(FrameSeriesTest, SmallChangesAddUpAlsoAfterAReturn) {
  EXPECT_EQ(sources({screen(1), screen(2), screen(1, 3), screen(1, 6), screen(1, 5)}), (Sources{{}, {}, 0, {}, 3}))
      << "compared with the frame that is described, and not with the last one";
}

TEST_F(FrameSeriesTest, ASmallPartThatDiffersIsSeen) {
  Image almost = screen(1);
  for (std::size_t i = 0; i < 3 * 12; ++i) almost.rgb[i] = 200;  // a dozen pixels
  EXPECT_EQ(sources({screen(1), screen(2), almost}), (Sources{{}, {}, {}}));
}

TEST_F(FrameSeriesTest, WithTheExactRuleOnlyEqualPixelsAreTheSame) {
  options.unchanged = UnchangedRule::exact;
  EXPECT_EQ(sources({screen(1), screen(2), screen(1, 1), screen(1), screen(2)}), (Sources{{}, {}, {}, 0, 1}));
}

TEST_F(FrameSeriesTest, WithoutARuleEveryFrameIsDescribed) {
  options.unchanged = UnchangedRule::none;
  EXPECT_EQ(sources({screen(1), screen(1), screen(2), screen(1)}), (Sources{{}, {}, {}, {}}));
  EXPECT_THAT(changes, ElementsAre(0, 0, ::testing::Gt(4), ::testing::Gt(4)));
}

TEST_F(FrameSeriesTest, LongAgoIsForgottenButForEqualPixels) {
  std::vector<Image> pictures;
  for (int i = 0; i < 70; ++i) pictures.push_back(screen(i));
  pictures.push_back(screen(0, 1));
  pictures.push_back(screen(69, 1));
  pictures.push_back(screen(1));
  const Sources all = sources(pictures);
  EXPECT_EQ(all[70], std::nullopt);
  EXPECT_EQ(all[71], 69u);
  EXPECT_EQ(all[72], 1u);
}

TEST_F(FrameSeriesTest, WhatIsShownAgainIsRememberedLonger) {
  std::vector<Image> pictures = {screen(0)};
  for (int i = 1; i < 100; ++i) {
    pictures.push_back(screen(i));
    if (i % 50 == 0) pictures.push_back(screen(0, 1));
  }
  pictures.push_back(screen(0, 2));
  EXPECT_EQ(sources(pictures).back(), 0u);
}

TEST_F(FrameSeriesTest, AScreenOfAnotherSizeIsAnother) {
  EXPECT_EQ(sources({screen(1), screen(1, 0, 192, 96), screen(1, 1)}), (Sources{{}, {}, 0}));
}

}  // namespace
}  // namespace escribano::recording
