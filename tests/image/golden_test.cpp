// The frames of the demo model against what the reference implementation made of them (tests/golden).
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "image/hash.h"
#include "image/image.h"
#include "image/resize.h"

namespace escribano {
namespace {

const std::filesystem::path golden_folder = std::filesystem::path(ESCRIBANO_SOURCE_DIR) / "tests/golden";
constexpr PixelRule demo_rule = {.patch_size_px = 16, .merge_size = 2, .min_pixels = 65'536, .max_pixels = 262'144};

Image as_the_model_sees(const std::string& file) {
  const Image image = load_image(golden_folder / file, {}).value();
  return resize_bicubic(image, model_image_size(image.size(), demo_rule).value());
}

// What the model is fed for an 8-bit level: mean and standard deviation 0.5.
double normalised(std::uint8_t level) { return level / 127.5 - 1.0; }

TEST(GoldenFrames, ResizedPixelsHaveTheMeanDeviationAndFirstPatchOfTheReference) {
  const std::string text = read_text_file(golden_folder / "golden.json", 1 << 20).value();
  const nlohmann::json golden = nlohmann::json::parse(text);
  ASSERT_EQ(golden.at("cases").size(), 16u);
  for (const auto& golden_case : golden.at("cases")) {
    SCOPED_TRACE(golden_case.at("name").get<std::string>());
    const auto& expected = golden_case.at("pixel_values");
    double sum = 0.0;
    double sum_of_squares = 0.0;
    double count = 0.0;
    std::vector<double> first_patch;
    for (const auto& file : golden_case.at("images")) {
      const Image image = as_the_model_sees(file);
      EXPECT_EQ(image.size(), (Size{672, 384}));
      for (const std::uint8_t level : image.rgb) {
        sum += normalised(level);
        sum_of_squares += normalised(level) * normalised(level);
      }
      count += static_cast<double>(image.rgb.size());
      if (!first_patch.empty()) continue;
      for (int x = 0; x < 16; ++x) first_patch.push_back(normalised(image.rgb[3 * x]));
    }
    const double mean = sum / count;
    EXPECT_NEAR(mean, expected.at("mean").get<double>(), 1e-6);
    EXPECT_NEAR(std::sqrt(sum_of_squares / count - mean * mean), expected.at("std").get<double>(), 1e-6);
    const auto expected_patch = expected.at("first_patch").get<std::vector<double>>();
    ASSERT_EQ(first_patch.size(), expected_patch.size());
    for (std::size_t i = 0; i < first_patch.size(); ++i) EXPECT_NEAR(first_patch[i], expected_patch[i], 5e-7);
  }
}

// Hashes of what torchvision's resize (torch 2.15, CPU) makes of the same frames.
TEST(GoldenFrames, ResizedPixelsAreThoseOfTheReferenceToTheBit) {
  const ImageHash expected[] = {
      {0x847e2371c61039d8, 0x1eb203457e400180}, {0xa93c4872c7173159, 0xe0f734057312a23b},
      {0x6f1b59ceb686b1e8, 0x194b6b2feb141db5}, {0xf44c4509e5c2a053, 0x6a222dba06cdf53a},
      {0xc1c612be551652e5, 0x33bc008297ee8ba7}, {0xbd0faaa580ff1614, 0xef2ab12e8664a332},
      {0xf095b8aff1f830d8, 0xb59975d0959bcea4},
  };
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    EXPECT_EQ(hash_image(as_the_model_sees("frame-" + std::to_string(i) + "-1280x720.png")), expected[i]) << i;
  }
}

}  // namespace
}  // namespace escribano
