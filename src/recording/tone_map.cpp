#include "recording/tone_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace escribano::recording {
namespace {

constexpr double kReferenceWhiteNits = 203;
constexpr double kShoulder = 0.75;
constexpr std::size_t kSteps = 4096;         // of coded values that are told apart
constexpr std::size_t kLightSteps = 65'536;  // of light up to kMostLight
constexpr float kMostLight = 4;              // brighter comes to 255 in any case

double pq_nits(double coded) {
  constexpr double m1 = 2610.0 / 16384;
  constexpr double m2 = 2523.0 / 4096 * 128;
  constexpr double c1 = 3424.0 / 4096;
  constexpr double c2 = 2413.0 / 4096 * 32;
  constexpr double c3 = 2392.0 / 4096 * 32;
  const double power = std::pow(coded, 1 / m2);
  return 10'000 * std::pow(std::max(power - c1, 0.0) / (c2 - c3 * power), 1 / m1);
}

// Light of the scene, 0 to 1.
double hlg_scene(double coded) {
  constexpr double a = 0.17883277;
  constexpr double b = 1 - 4 * a;
  const double c = 0.5 - a * std::log(4 * a);
  return coded <= 0.5 ? coded * coded / 3 : (std::exp((coded - c) / a) + b) / 12;
}

std::uint8_t srgb_of(double light) {
  const double mapped =
      light <= kShoulder ? light : 1 - (1 - kShoulder) * std::exp(-(light - kShoulder) / (1 - kShoulder));
  const double coded = mapped <= 0.0031308 ? 12.92 * mapped : 1.055 * std::pow(mapped, 1 / 2.4) - 0.055;
  return static_cast<std::uint8_t>(std::lround(255 * std::clamp(coded, 0.0, 1.0)));
}

using Matrix = std::array<float, 9>;

// Rows of a matrix of linear light, from ITU-R BT.2087 and the chromaticities of SMPTE EG 432-1.
Matrix to_srgb_primaries(Primaries primaries) {
  switch (primaries) {
    case Primaries::bt2020:
      return {1.6605F, -0.5876F, -0.0728F, -0.1246F, 1.1329F, -0.0083F, -0.0182F, -0.1006F, 1.1187F};
    case Primaries::p3: return {1.2249F, -0.2249F, 0, -0.0420F, 1.0420F, 0, -0.0197F, -0.0786F, 1.0983F};
    case Primaries::bt709: break;
  }
  return {1, 0, 0, 0, 1, 0, 0, 0, 1};
}

std::vector<float> light_table(Transfer transfer) {
  std::vector<float> table(kSteps);
  for (std::size_t i = 0; i < kSteps; ++i) {
    const double coded = static_cast<double>(i) / (kSteps - 1);
    table[i] = static_cast<float>(transfer == Transfer::pq ? pq_nits(coded) / kReferenceWhiteNits : hlg_scene(coded));
  }
  return table;
}

std::vector<std::uint8_t> srgb_table() {
  std::vector<std::uint8_t> table(kLightSteps);
  for (std::size_t i = 0; i < kLightSteps; ++i) {
    table[i] = srgb_of(static_cast<double>(kMostLight) * static_cast<double>(i) / (kLightSteps - 1));
  }
  return table;
}

}  // namespace

void tone_map(std::span<const std::uint16_t> coded, Transfer transfer, Primaries primaries,
              std::span<std::uint8_t> srgb) {
  const std::vector<float> light = light_table(transfer);
  static const std::vector<std::uint8_t> kSrgb = srgb_table();
  const Matrix matrix = to_srgb_primaries(primaries);
  constexpr float kHlgPeak = 1000 / static_cast<float>(kReferenceWhiteNits);
  const auto light_of = [&](std::uint16_t value) { return light[value >> 4]; };
  for (std::size_t i = 0; i + 2 < std::min(coded.size(), srgb.size()); i += 3) {
    std::array<float, 3> rgb = {light_of(coded[i]), light_of(coded[i + 1]), light_of(coded[i + 2])};
    if (transfer == Transfer::hlg) {
      const float scene = 0.2627F * rgb[0] + 0.6780F * rgb[1] + 0.0593F * rgb[2];
      const float gain = scene > 0 ? kHlgPeak * std::pow(scene, 0.2F) : 0;
      for (float& channel : rgb) channel *= gain;
    }
    for (std::size_t c = 0; c < 3; ++c) {
      const float mixed = matrix[3 * c] * rgb[0] + matrix[3 * c + 1] * rgb[1] + matrix[3 * c + 2] * rgb[2];
      const float step = std::clamp(mixed / kMostLight, 0.0F, 1.0F) * static_cast<float>(kLightSteps - 1);
      srgb[i + c] = kSrgb[static_cast<std::size_t>(step + 0.5F)];
    }
  }
}

}  // namespace escribano::recording
