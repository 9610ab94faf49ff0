#include "models/mlx_affine.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string_view>

#include "base/utf8.h"

namespace escribano::models {
namespace {

using nlohmann::json;

constexpr std::array<std::uint64_t, 6> known_bits = {2, 3, 4, 5, 6, 8};
constexpr std::array<std::uint64_t, 3> known_group_sizes = {32, 64, 128};
constexpr float half_overflow = 65520;  // the first that half precision rounds to infinity

std::string shown(std::string_view text) { return to_valid_utf8(text.substr(0, 120)); }

Result<AffineFormat> read_format(const JsonObject& object) {
  ESCRIBANO_TRY(const auto mode, object.optional_string("mode"));
  if (mode && *mode != "affine") {
    return fail(Errc::unsupported, "{}: weights quantised in mode {} cannot be imported, only affine ones",
                object.where(), shown(*mode));
  }
  ESCRIBANO_TRY(const std::uint64_t bits, object.required_uint("bits", 0, 1024));
  if (std::ranges::find(known_bits, bits) == known_bits.end()) {
    return fail(Errc::unsupported, "{}: weights of {} bits cannot be imported, only of 2, 3, 4, 5, 6 or 8",
                object.where(), bits);
  }
  ESCRIBANO_TRY(const std::uint64_t group_size, object.required_uint("group_size", 0, 1u << 20));
  if (std::ranges::find(known_group_sizes, group_size) == known_group_sizes.end()) {
    return fail(Errc::unsupported, "{}: groups of {} weights cannot be imported, only of 32, 64 or 128", object.where(),
                group_size);
  }
  return AffineFormat{static_cast<std::uint32_t>(bits), static_cast<std::uint32_t>(group_size)};
}

float load(Dtype type, std::span<const std::byte> values, std::size_t i) noexcept {
  if (type == Dtype::f32) {
    float value = 0;
    std::memcpy(&value, values.data() + i * 4, 4);
    return value;
  }
  std::uint16_t bits = 0;
  std::memcpy(&bits, values.data() + i * 2, 2);
  return type == Dtype::bf16 ? float_from_bfloat(bits) : float_from_half(bits);
}

std::size_t group_count(const AffineGroups& groups) noexcept {
  return groups.scales.size() / element_bytes(groups.scale_type);
}

// Eight numbers of `bits` bits are `bits` bytes.
template <int bits>
void dequantize_group(const std::byte* packed, std::size_t count, float scale, float bias, float* out) noexcept {
  for (std::size_t i = 0; i < count; i += 8, packed += bits) {
    std::uint64_t numbers = 0;
    std::memcpy(&numbers, packed, bits);
    for (int k = 0; k < 8; ++k) {
      const auto number = static_cast<float>(numbers >> (k * bits) & ((1U << bits) - 1U));
      out[i + static_cast<std::size_t>(k)] = number * scale + bias;
    }
  }
}

using DequantizeGroup = void (*)(const std::byte*, std::size_t, float, float, float*) noexcept;

DequantizeGroup dequantize_group_of(std::uint32_t bits) noexcept {
  switch (bits) {
    case 2: return dequantize_group<2>;
    case 3: return dequantize_group<3>;
    case 4: return dequantize_group<4>;
    case 5: return dequantize_group<5>;
    case 6: return dequantize_group<6>;
    default: return dequantize_group<8>;
  }
}

}  // namespace

std::uint32_t MlxQuantization::max_bits() const {
  std::uint32_t most = usual.bits;
  for (const auto& [name, format] : modules) most = std::max(most, format ? format->bits : 0);
  return most;
}

Result<std::optional<MlxQuantization>> read_mlx_quantization(const JsonObject& config) {
  const char* key = config.find("quantization") != nullptr ? "quantization" : "quantization_config";
  ESCRIBANO_TRY(const auto object, config.optional_object(key));
  if (!object) return std::optional<MlxQuantization>();
  if (const json* method = object->find("quant_method"); method != nullptr) {
    return fail(Errc::unsupported, "{}: weights quantised by {} cannot be imported, only those of MLX", object->where(),
                method->is_string() ? shown(method->get_ref<const std::string&>()) : "another method");
  }
  MlxQuantization result;
  ESCRIBANO_TRY(result.usual, read_format(*object));
  for (const auto& [name, value] : config.find(key)->items()) {
    if (name == "bits" || name == "group_size" || name == "mode") continue;
    if (value.is_boolean()) {
      result.modules.emplace(name, value.get<bool>() ? std::optional(result.usual) : std::nullopt);
    } else if (value.is_object()) {
      ESCRIBANO_TRY(const AffineFormat format, read_format(JsonObject(value, object->where() + ": " + shown(name))));
      result.modules.emplace(name, format);
    } else {
      return fail(Errc::unsupported, "{}: unknown setting {}", object->where(), shown(name));
    }
  }
  return std::optional(std::move(result));
}

void dequantize(AffineFormat format, std::span<const std::byte> packed, const AffineGroups& groups,
                std::span<float> out) noexcept {
  const DequantizeGroup dequantize_one = dequantize_group_of(format.bits);
  const std::size_t count = packed.size() / format.group_bytes();
  for (std::size_t group = 0; group < count; ++group) {
    dequantize_one(packed.data() + group * format.group_bytes(), format.group_size,
                   load(groups.scale_type, groups.scales, group), load(groups.bias_type, groups.biases, group),
                   out.data() + group * format.group_size);
  }
}

ValueRange affine_range(AffineFormat format, const AffineGroups& groups) noexcept {
  ValueRange range;
  const auto steps = static_cast<float>((1U << format.bits) - 1U);
  for (std::size_t group = 0; group < group_count(groups); ++group) {
    const float bias = load(groups.bias_type, groups.biases, group);
    const float other_end = steps * load(groups.scale_type, groups.scales, group) + bias;
    range.is_finite = range.is_finite && std::isfinite(bias) && std::isfinite(other_end);
    range.exceeds_half = range.exceeds_half || std::max(std::abs(bias), std::abs(other_end)) >= half_overflow;
  }
  return range;
}

}  // namespace escribano::models
