#include "models/float_convert.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace escribano::models {
namespace {

// Half precision decoded from its definition (IEEE 754, 3.6), independently of the code under test.
double half_value(std::uint16_t bits) {
  const int exponent = bits >> 10 & 0x1F;
  const int fraction = bits & 0x3FF;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) {
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

TEST(FloatFromHalf, DecodesEveryValue) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const double expected = half_value(static_cast<std::uint16_t>(bits));
    const float found = float_from_half(static_cast<std::uint16_t>(bits));
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(found)) << bits;
    } else {
      EXPECT_EQ(found, static_cast<float>(expected)) << bits;
    }
  }
}

TEST(HalfFromFloat, ReturnsEveryHalfUnchanged) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = float_from_half(static_cast<std::uint16_t>(bits));
    if (std::isnan(value)) continue;
    EXPECT_EQ(half_from_float(value), bits);
  }
}

TEST(HalfFromFloat, RoundsToTheNearestAndTiesToEven) {
  // Between every two neighbours: just below, at and just above the middle.
  for (std::uint16_t low = 0; low < 0x7BFF; ++low) {
    const auto high = static_cast<std::uint16_t>(low + 1);
    const auto middle = static_cast<float>((half_value(low) + half_value(high)) / 2);
    EXPECT_EQ(half_from_float(std::nextafter(middle, 0.0f)), low);
    EXPECT_EQ(half_from_float(middle), low % 2 == 0 ? low : high);
    EXPECT_EQ(half_from_float(std::nextafter(middle, 1e9f)), high);
    EXPECT_EQ(half_from_float(-middle), (low % 2 == 0 ? low : high) | 0x8000);
  }
}

TEST(HalfFromFloat, OverflowsWhereRoundingPassesTheLargestHalf) {
  EXPECT_EQ(half_from_float(65519.99f), 0x7BFF);
  EXPECT_EQ(half_from_float(65520.0f), 0x7C00);
  EXPECT_EQ(half_from_float(-1e30f), 0xFC00);
  EXPECT_EQ(half_from_float(std::numeric_limits<float>::infinity()), 0x7C00);
  EXPECT_TRUE(std::isnan(float_from_half(half_from_float(std::nanf("")))));
}

TEST(BfloatFromFloat, RoundsToTheNearestAndTiesToEven) {
  EXPECT_EQ(bfloat_from_float(std::bit_cast<float>(0x3F808000u)), 0x3F80);
  EXPECT_EQ(bfloat_from_float(std::bit_cast<float>(0x3F818000u)), 0x3F82);
  EXPECT_EQ(bfloat_from_float(std::bit_cast<float>(0x3F808001u)), 0x3F81);
  EXPECT_TRUE(std::isnan(float_from_bfloat(bfloat_from_float(std::bit_cast<float>(0x7F800001u)))));
}

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

TEST(Convert, BfloatToHalfAgreesWithTheWayThroughFloatForEveryValue) {
  std::vector<std::uint16_t> all(65536);
  for (std::uint32_t i = 0; i < 65536; ++i) all[i] = static_cast<std::uint16_t>(i);
  std::vector<std::byte> out(all.size() * 2);
  convert(Dtype::bf16, bytes_of(all), GgmlType::f16, out);
  for (std::uint32_t i = 0; i < 65536; ++i) {
    std::uint16_t found = 0;
    std::memcpy(&found, out.data() + i * 2, 2);
    EXPECT_EQ(found, half_from_float(float_from_bfloat(static_cast<std::uint16_t>(i)))) << i;
  }
}

TEST(Convert, ReadsAndWritesUnalignedBytes) {
  std::vector<std::byte> in(1 + 2 * 3);
  const std::uint16_t values[] = {0x3F80, 0xC000, 0x4049};  // 1, -2, 3.140625
  std::memcpy(in.data() + 1, values, sizeof values);
  std::vector<std::byte> out(1 + 4 * 3);
  convert(Dtype::bf16, std::span(in).subspan(1), GgmlType::f32, std::span(out).subspan(1));
  float found[3];
  std::memcpy(found, out.data() + 1, sizeof found);
  EXPECT_EQ(found[0], 1.0f);
  EXPECT_EQ(found[1], -2.0f);
  EXPECT_EQ(found[2], 3.140625f);
}

TEST(ValueRange, FindsWhatHalfPrecisionCannotHold) {
  const auto bf16 = [](std::uint16_t value) {
    return value_range(Dtype::bf16, bytes_of(std::vector<std::uint16_t>{0x3F80, value, 0xBF80}));
  };
  EXPECT_EQ(bf16(0x477F), (ValueRange{true, false}));
  EXPECT_EQ(bf16(0x4780), (ValueRange{true, true}));
  EXPECT_EQ(bf16(0xC780), (ValueRange{true, true}));
  EXPECT_EQ(bf16(0x7F80), (ValueRange{false, true}));
  EXPECT_EQ(bf16(0xFFC0), (ValueRange{false, true}));
  const auto f32 = [](float value) { return value_range(Dtype::f32, bytes_of(std::vector<float>{0, value})); };
  EXPECT_EQ(f32(65519.99f), (ValueRange{true, false}));
  EXPECT_EQ(f32(-65520.0f), (ValueRange{true, true}));
  EXPECT_FALSE(f32(std::nanf("")).is_finite);
  const auto f16 = [](std::uint16_t value) {
    return value_range(Dtype::f16, bytes_of(std::vector<std::uint16_t>{value}));
  };
  EXPECT_EQ(f16(0xFBFF), (ValueRange{true, false}));
  EXPECT_EQ(f16(0x7C00), (ValueRange{false, true}));
  EXPECT_EQ(f16(0x7C01), (ValueRange{false, true}));
  EXPECT_EQ(value_range(Dtype::bf16, {}), ValueRange{});
}

}  // namespace
}  // namespace escribano::models
