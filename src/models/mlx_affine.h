#pragma once

// MLX's affine quantisation: of a matrix X, X.weight holds whole numbers q of `bits` bits, and each group of `group_size`
// consecutive elements of a row has one element of X.scales and one of X.biases; the weight is q * scale + bias. The
// numbers fill each row's 32-bit words from the lowest bit on, those of 3, 5 and 6 bits across the words' borders
// (mlx/backend/cpu/quantized.cpp), which makes a matrix one little-endian string of bits.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "models/float_convert.h"
#include "models/json_checks.h"
#include "models/safetensors.h"

namespace escribano::models {

struct AffineFormat {
  std::uint32_t bits = 4;         // 2, 3, 4, 5, 6 or 8
  std::uint32_t group_size = 64;  // 32, 64 or 128

  // Bytes of X.weight that a group takes; a multiple of 4.
  std::size_t group_bytes() const { return std::size_t{group_size} * bits / 8; }

  friend bool operator==(const AffineFormat&, const AffineFormat&) = default;
};

// What config.json says about quantised modules.
struct MlxQuantization {
  AffineFormat usual;
  // By the module's name in MLX; nothing: not quantised.
  std::map<std::string, std::optional<AffineFormat>> modules;

  std::uint32_t max_bits() const;

  friend bool operator==(const MlxQuantization&, const MlxQuantization&) = default;
};

// Reads "quantization", or "quantization_config" where that is missing; nothing where neither is there. Fails with
// unsupported for quantisation that is not MLX's, for other modes (mxfp4, nvfp4), bits and group sizes, naming the module,
// corrupt for values of the wrong type.
Result<std::optional<MlxQuantization>> read_mlx_quantization(const JsonObject& config);

// Scales and biases of the same groups. The spans need no alignment; their types must not be `other` or u32.
struct AffineGroups {
  Dtype scale_type = Dtype::bf16;
  std::span<const std::byte> scales;
  Dtype bias_type = Dtype::bf16;
  std::span<const std::byte> biases;
};

// The weights of as many groups as `packed` holds, computed in single precision; `out` has one float for each element.
// Thread-safe, allocates nothing.
void dequantize(AffineFormat format, std::span<const std::byte> packed, const AffineGroups& groups,
                std::span<float> out) noexcept;

// Of every weight that the groups can express, whichever numbers are there.
ValueRange affine_range(AffineFormat format, const AffineGroups& groups) noexcept;

}  // namespace escribano::models
