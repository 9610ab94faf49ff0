#pragma once

// Weights between bfloat16, IEEE half and single precision, rounded to nearest even. Pure functions over spans that
// need no alignment.

#include <cstddef>
#include <cstdint>
#include <span>

#include "models/gguf.h"
#include "models/safetensors.h"

namespace escribano::models {

std::uint16_t half_from_float(float value) noexcept;  // beyond 65504 (rounded): infinity
float float_from_half(std::uint16_t value) noexcept;
std::uint16_t bfloat_from_float(float value) noexcept;
float float_from_bfloat(std::uint16_t value) noexcept;

// Bytes of one element; `dtype` must be one of floating point, here and below.
std::size_t element_bytes(Dtype dtype) noexcept;
std::size_t element_bytes(GgmlType type) noexcept;

// What a stretch of weights holds that a conversion must know about.
struct ValueRange {
  bool is_finite = true;      // no value is infinite or not a number
  bool exceeds_half = false;  // a value that half precision cannot hold

  friend bool operator==(const ValueRange&, const ValueRange&) = default;
};
ValueRange value_range(Dtype dtype, std::span<const std::byte> values) noexcept;

// `out` must have room for exactly as many elements as `in` has. Values too small for half precision become 0 or
// subnormal; those too large become infinity, which value_range() finds beforehand.
void convert(Dtype from, std::span<const std::byte> in, GgmlType to, std::span<std::byte> out) noexcept;

}  // namespace escribano::models
