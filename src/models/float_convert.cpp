#include "models/float_convert.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>

namespace escribano::models {
namespace {

template <class T>
T load(const std::byte* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

template <class T>
void store(std::byte* at, T value) noexcept {
  std::memcpy(at, &value, sizeof(T));
}

// All 65,536 bfloat16 values as half. Trained weights use a few thousand of them, so the part of the table in use stays
// in the first-level cache and the conversion runs at the speed of memory on any processor.
const std::uint16_t* half_of_bfloat() {
  static const std::unique_ptr<std::uint16_t[]> table = [] {
    auto values = std::make_unique<std::uint16_t[]>(65536);
    for (std::uint32_t i = 0; i < 65536; ++i) {
      values[i] = half_from_float(float_from_bfloat(static_cast<std::uint16_t>(i)));
    }
    return values;
  }();
  return table.get();
}

// The largest magnitudes (bit patterns without sign) that still round to a finite half, and that are not NaN.
struct Limits {
  std::uint32_t max_half;
  std::uint32_t infinity;
};
constexpr Limits bf16_limits = {0x477F, 0x7F80};         // 65280 is the last; 65536 overflows
constexpr Limits f16_limits = {0x7BFF, 0x7C00};          // 65504
constexpr Limits f32_limits = {0x477FEFFF, 0x7F800000};  // 65520 is the first that rounds to infinity

template <class T>
ValueRange range_of(std::span<const std::byte> values, Limits limits) noexcept {
  constexpr T magnitude_mask = static_cast<T>(static_cast<T>(-1) >> 1);
  T largest = 0;  // magnitudes compare like the values, and NaN lies above infinity
  for (std::size_t i = 0; i + sizeof(T) <= values.size(); i += sizeof(T)) {
    const T magnitude = static_cast<T>(load<T>(values.data() + i) & magnitude_mask);
    largest = std::max(largest, magnitude);
  }
  return {.is_finite = largest<limits.infinity, .exceeds_half = largest> limits.max_half};
}

float load_float(Dtype from, const std::byte* at) noexcept {
  switch (from) {
    case Dtype::bf16: return float_from_bfloat(load<std::uint16_t>(at));
    case Dtype::f16: return float_from_half(load<std::uint16_t>(at));
    default: return load<float>(at);
  }
}

void store_float(GgmlType to, std::byte* at, float value) noexcept {
  switch (to) {
    case GgmlType::f32: store(at, value); break;
    case GgmlType::f16: store(at, half_from_float(value)); break;
    case GgmlType::bf16: store(at, bfloat_from_float(value)); break;
  }
}

bool same_type(Dtype from, GgmlType to) noexcept {
  return (from == Dtype::f32 && to == GgmlType::f32) || (from == Dtype::f16 && to == GgmlType::f16) ||
         (from == Dtype::bf16 && to == GgmlType::bf16);
}

}  // namespace

std::uint16_t half_from_float(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000);
  const std::uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return sign | 0x7E00;   // NaN
  if (magnitude >= 0x477FF000) return sign | 0x7C00;  // rounds to infinity
  if (magnitude < 0x38800000) {
    // Below half's smallest normal number: adding 0.5 makes the floating-point unit round at the right bit.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000));
  }
  const std::uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
  return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000) >> 13));
}

float float_from_half(std::uint16_t value) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(value & 0x8000) << 16;
  const std::uint32_t magnitude = value & 0x7FFF;
  if (magnitude >= 0x7C00) return std::bit_cast<float>(sign | 0x7F800000 | (magnitude & 0x3FF) << 13);
  if (magnitude < 0x400) {
    const float subnormal = static_cast<float>(magnitude) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(subnormal));
  }
  return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000));
}

std::uint16_t bfloat_from_float(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return static_cast<std::uint16_t>(bits >> 16 | 0x40);  // NaN stays one
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

float float_from_bfloat(std::uint16_t value) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16);
}

std::size_t element_bytes(Dtype dtype) noexcept { return dtype == Dtype::f32 ? 4 : 2; }
std::size_t element_bytes(GgmlType type) noexcept { return type == GgmlType::f32 ? 4 : 2; }

ValueRange value_range(Dtype dtype, std::span<const std::byte> values) noexcept {
  switch (dtype) {
    case Dtype::bf16: return range_of<std::uint16_t>(values, bf16_limits);
    case Dtype::f16: return range_of<std::uint16_t>(values, f16_limits);
    default: return range_of<std::uint32_t>(values, f32_limits);
  }
}

void convert(Dtype from, std::span<const std::byte> in, GgmlType to, std::span<std::byte> out) noexcept {
  if (same_type(from, to)) {
    std::memcpy(out.data(), in.data(), in.size());
    return;
  }
  if (from == Dtype::bf16 && to == GgmlType::f16) {
    const std::uint16_t* table = half_of_bfloat();
    for (std::size_t i = 0; i + 2 <= in.size(); i += 2) {
      store(out.data() + i, table[load<std::uint16_t>(in.data() + i)]);
    }
    return;
  }
  const std::size_t count = in.size() / element_bytes(from);
  for (std::size_t i = 0; i < count; ++i) {
    store_float(to, out.data() + i * element_bytes(to), load_float(from, in.data() + i * element_bytes(from)));
  }
}

}  // namespace escribano::models
