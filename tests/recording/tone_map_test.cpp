#include "recording/tone_map.h"

#include <array>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace escribano::recording {
namespace {

double pq_code(double nits) {
  const double y = std::pow(nits / 10'000, 2610.0 / 16384);
  return std::pow((3424.0 / 4096 + 2413.0 / 128 * y) / (1 + 2392.0 / 128 * y), 2523.0 / 32);
}

int grey(double coded, Transfer transfer) {
  const auto code = static_cast<std::uint16_t>(std::lround(65'535 * coded));
  const std::array<std::uint16_t, 3> in = {code, code, code};
  std::array<std::uint8_t, 3> out = {};
  tone_map(in, transfer, Primaries::bt2020, out);
  EXPECT_NEAR(out[0], out[1], 1);
  EXPECT_NEAR(out[1], out[2], 1);
  return out[1];
}

double srgb_light(double level) {
  const double coded = level / 255;
  return coded <= 0.04045 ? coded / 12.92 : std::pow((coded + 0.055) / 1.055, 2.4);
}

TEST(ToneMap, WhatAnOrdinaryScreenShowsKeepsItsLook) {
  for (const int level : {0, 13, 30, 45, 90, 128, 180, 220}) {
    EXPECT_NEAR(grey(pq_code(203 * srgb_light(level)), Transfer::pq), level, 1) << level;
  }
}

TEST(ToneMap, WhiteIsNearlyWhiteAndHighlightsAreBrighter) {
  const int white = grey(pq_code(203), Transfer::pq);
  EXPECT_NEAR(white, 244, 1);
  EXPECT_GT(grey(pq_code(300), Transfer::pq), white);
  EXPECT_EQ(grey(pq_code(4000), Transfer::pq), 255);
  EXPECT_EQ(grey(1, Transfer::pq), 255);
}

TEST(ToneMap, TheReferenceWhiteOfHlgIsThatOfPq) {
  EXPECT_EQ(grey(0, Transfer::hlg), 0);
  EXPECT_NEAR(grey(0.75, Transfer::hlg), 244, 1);  // ITU-R BT.2408: 75 % is 203 nits
  EXPECT_EQ(grey(1, Transfer::hlg), 255);
}

TEST(ToneMap, ColoursOfTheWiderRangeAreBroughtIn) {
  // The red of sRGB at 100 nits, in BT.2020.
  const double light = 100.0;
  const std::array<double, 3> bt2020 = {0.6274 * light, 0.0691 * light, 0.0164 * light};
  std::array<std::uint16_t, 3> in = {};
  for (std::size_t c = 0; c < 3; ++c) in[c] = static_cast<std::uint16_t>(std::lround(65'535 * pq_code(bt2020[c])));
  std::array<std::uint8_t, 3> out = {};
  tone_map(in, Transfer::pq, Primaries::bt2020, out);
  EXPECT_NEAR(out[0], 186, 3);
  EXPECT_LE(out[1], 12);
  EXPECT_LE(out[2], 12);
}

}  // namespace
}  // namespace escribano::recording
