#include "recording/series_thread.h"

#include <gtest/gtest.h>

#include "image/image.h"

namespace escribano::recording {
namespace {

Image flat(int width_px, int height_px, std::uint8_t level) {
  return {width_px, height_px, std::vector<std::uint8_t>(static_cast<std::size_t>(width_px * height_px * 3), level)};
}

TEST(SeriesThread, GivesWhatASeriesGivesAndKeepsWhatIsDescribed) {
  const SamplingOptions options;
  FrameSeries series(options);
  KeptPictures kept(1 << 20);
  SeriesThread thread(options, kept);
  for (int i = 0; i < 20; ++i) {
    const Image image = flat(32, 16, static_cast<std::uint8_t>(i / 2 * 20));
    ASSERT_TRUE(series.add(i * 1000, SampleReason::interval, image));
    ASSERT_TRUE(thread.add(i * 1000, SampleReason::interval, image));
  }
  EXPECT_EQ(thread.added(), 20u);
  const auto frames = thread.finish();
  ASSERT_TRUE(frames) << frames.error().message;
  EXPECT_EQ(*frames, series.frames());
  for (int i = 0; i < 20; ++i) {
    const auto png = kept.take(i * 1000);
    ASSERT_EQ(png.has_value(), i % 2 == 0) << i;
    if (!png) continue;
    EXPECT_EQ(decode_image(*png, {}, "kept").value(), flat(32, 16, static_cast<std::uint8_t>(i / 2 * 20)));
  }
}

TEST(SeriesThread, AFailureIsToldAndEndsIt) {
  const SamplingOptions options;
  KeptPictures kept;
  SeriesThread thread(options, kept);
  // No JPEG is so high.
  Status added = thread.add(0, SampleReason::first, flat(1, 70'000, 0));
  for (int i = 1; added && i < 10; ++i) added = thread.add(i, SampleReason::interval, flat(1, 1, 0));
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Errc::too_large);
  EXPECT_EQ(thread.finish().error().code, Errc::too_large);
}

TEST(SeriesThread, MayBeLeftInTheMiddle) {
  const SamplingOptions options;
  KeptPictures kept(1 << 20);
  {
    SeriesThread thread(options, kept);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(thread.add(i, SampleReason::interval, flat(320, 200, 0)));
  }
  EXPECT_TRUE(kept.take(0));
}

}  // namespace
}  // namespace escribano::recording
