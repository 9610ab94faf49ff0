#include "models/mlx_affine.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <ostream>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace escribano::models {
namespace {

using nlohmann::json;
using testing::HasSubstr;

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

AffineGroups groups(const std::vector<float>& scales, const std::vector<float>& biases) {
  return {Dtype::f32, bytes_of(scales), Dtype::f32, bytes_of(biases)};
}

struct Packed {
  std::uint32_t bits;
  std::vector<std::uint32_t> words;

  friend void PrintTo(const Packed& packed, std::ostream* out) { *out << packed.bits << " bits"; }
};

class MlxPacking : public testing::TestWithParam<Packed> {};

// What mlx.core.quantize 0.32.4 makes of the numbers below, 32 of them in one group.
TEST_P(MlxPacking, IsReadNumberByNumber) {
  const auto& [bits, words] = GetParam();
  const std::uint32_t top = (1U << bits) - 1U;
  std::vector<float> expected;
  for (std::uint32_t i = 0; i < 32; ++i) expected.push_back(static_cast<float>((i * i * 7 + i * 3) % (top + 1)));
  expected[0] = 0;
  expected[1] = static_cast<float>(top);

  std::vector<float> found(32);
  dequantize({bits, 32}, bytes_of(words), groups({1.0f}, {0.0f}), found);
  EXPECT_EQ(found, expected);
}

INSTANTIATE_TEST_SUITE_P(
    Bits, MlxPacking,
    testing::Values(
        Packed{2, {0x2828282C, 0x28282828}}, Packed{3, {0x909B40B8, 0x40909B40, 0x9B40909B}},
        Packed{4, {0xCEEC82F0, 0x46640A28, 0xCEEC82A0, 0x46640A28}},
        Packed{5, {0xBDC40BE0, 0x486A5863, 0x4B50A18D, 0x48E79CCC, 0x25AC4028}},
        Packed{6, {0xBC222FC0, 0xA498B0EF, 0x506194C1, 0xAC6126B0, 0xA888F3E3, 0x93658400}},
        Packed{8, {0x4822FF00, 0x6C0EBE7C, 0x70DA52D8, 0x5486C614, 0x18121A30, 0xBC7E4E2C, 0x40CA6208, 0xA4F656C4}}));

TEST(MlxAffine, EveryGroupHasItsScaleAndBiasOfAnyType) {
  const std::vector<std::uint32_t> words(16, 0x76543210);      // two groups of 64 numbers of 4 bits
  const std::vector<std::uint16_t> scales = {0x3F00, 0xC040};  // bf16: 0.5, -3
  const std::vector<std::uint16_t> biases = {0xBC00, 0x4900};  // half: -1, 10
  std::vector<float> found(128);
  dequantize({4, 64}, bytes_of(words), {Dtype::bf16, bytes_of(scales), Dtype::f16, bytes_of(biases)}, found);
  for (std::size_t i = 0; i < 128; ++i) {
    const auto number = static_cast<float>(i % 8);
    EXPECT_EQ(found[i], i < 64 ? number * 0.5f - 1 : number * -3 + 10) << i;
  }
}

TEST(MlxAffine, TheRangeIsThatOfBothEnds) {
  const auto range = [](float scale, float bias) { return affine_range({4, 32}, groups({1, scale}, {0, bias})); };
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(range(1, -8), (ValueRange{true, false}));
  EXPECT_EQ(range(-1, 65519), (ValueRange{true, false}));
  EXPECT_EQ(range(0, 65520), (ValueRange{true, true}));
  EXPECT_EQ(range(-5000, 8000), (ValueRange{true, true}));
  EXPECT_FALSE(range(std::nanf(""), 0).is_finite);
  EXPECT_FALSE(range(0, infinity).is_finite);
  EXPECT_FALSE(range(3e38f, 0).is_finite);
}

Result<std::optional<MlxQuantization>> read(const json& settings) {
  const json config = json::parse(settings.dump());  // numbers have the types that they have in a file
  return read_mlx_quantization(JsonObject(config, "config.json"));
}

TEST(MlxQuantization, IsReadWithWhatSomeModulesHaveInstead) {
  EXPECT_EQ(read(json::object()).value(), std::nullopt);
  const json settings = {{"group_size", 64}, {"bits", 4},
                         {"mode", "affine"}, {"a.wide", {{"group_size", 32}, {"bits", 8}}},
                         {"a.usual", true},  {"a.plain", false}};
  for (const char* key : {"quantization", "quantization_config"}) {
    const auto found = read({{key, settings}});
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_TRUE(found->has_value());
    EXPECT_EQ((*found)->usual, (AffineFormat{4, 64}));
    EXPECT_EQ((*found)->modules.at("a.wide"), (AffineFormat{8, 32}));
    EXPECT_EQ((*found)->modules.at("a.usual"), (AffineFormat{4, 64}));
    EXPECT_EQ((*found)->modules.at("a.plain"), std::nullopt);
    EXPECT_EQ((*found)->max_bits(), 8u);
  }
}

struct BadSettings {
  const char* title;
  json settings;
  Errc code;
  const char* message;

  friend void PrintTo(const BadSettings& bad, std::ostream* out) { *out << bad.title; }
};

class MlxQuantizationRefuses : public testing::TestWithParam<BadSettings> {};

TEST_P(MlxQuantizationRefuses, TheSettings) {
  const auto found = read({{"quantization", GetParam().settings}});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, GetParam().code) << found.error().message;
  EXPECT_THAT(found.error().message, HasSubstr("config.json"));
  EXPECT_THAT(found.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Bad, MlxQuantizationRefuses,
    testing::Values(
        BadSettings{"NoObject", 4, Errc::corrupt, "quantization must be an object"},
        BadSettings{"NoBits", {{"group_size", 64}}, Errc::corrupt, "bits is missing"},
        BadSettings{"NoGroupSize", {{"bits", 4}}, Errc::corrupt, "group_size is missing"},
        BadSettings{"SevenBits", {{"bits", 7}, {"group_size", 64}}, Errc::unsupported, "7 bits"},
        BadSettings{"GroupsOf48", {{"bits", 4}, {"group_size", 48}}, Errc::unsupported, "groups of 48"},
        BadSettings{"OtherMode", {{"bits", 4}, {"group_size", 32}, {"mode", "mxfp4"}}, Errc::unsupported, "mode mxfp4"},
        BadSettings{"OtherMethod", {{"quant_method", "awq"}, {"bits", 4}}, Errc::unsupported, "quantised by awq"},
        BadSettings{"OtherSetting", {{"bits", 4}, {"group_size", 64}, {"zero", 1}}, Errc::unsupported, "setting zero"},
        BadSettings{"OtherModeOfAModule",
                    {{"bits", 4}, {"group_size", 64}, {"a.b", {{"bits", 4}, {"group_size", 16}, {"mode", "nvfp4"}}}},
                    Errc::unsupported,
                    "a.b: weights quantised in mode nvfp4"},
        BadSettings{"NoBitsOfAModule",
                    {{"bits", 4}, {"group_size", 64}, {"a.b", {{"group_size", 32}}}},
                    Errc::corrupt,
                    "a.b: bits is missing"}),
    [](const auto& bad) { return bad.param.title; });

}  // namespace
}  // namespace escribano::models
