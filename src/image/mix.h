#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// The inner loops of resize_bicubic. Not for use outside src/image.
namespace escribano::resize {

// How many neighbouring bytes are mixed at once: a vector register of SSE2 and NEON.
constexpr int lanes = 16;
using Lanes = std::array<std::uint8_t, lanes>;

// Weighted sums of `count` groups of 16 bytes, lane by lane. The groups stand `step` bytes apart, weights have
// `precision_bits` (1 to 22) bits after the point, sums are rounded and clamped to 0..255.
inline Lanes mix_portably(const std::uint8_t* group, std::ptrdiff_t step, const std::int16_t* weights, int count,
                          int precision_bits) noexcept {
  std::array<std::int32_t, lanes> sums;
  sums.fill(1 << (precision_bits - 1));
  for (int k = 0; k < count; ++k, group += step) {
    for (int l = 0; l < lanes; ++l) sums[l] += weights[k] * group[l];
  }
  Lanes mixed;
  for (int l = 0; l < lanes; ++l) mixed[l] = static_cast<std::uint8_t>(std::clamp(sums[l] >> precision_bits, 0, 255));
  return mixed;
}

#if defined(__SSE2__)
// The same, two groups at a time for the one instruction of SSE2 that multiplies and adds 16-bit pairs. No compiler
// finds it: gcc 12 takes twice and clang 16, which leaves the loop above scalar, ten times as long.
inline Lanes mix(const std::uint8_t* group, std::ptrdiff_t step, const std::int16_t* weights, int count,
                 int precision_bits) noexcept {
  const auto load = [](const std::uint8_t* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); };
  const __m128i zero = _mm_setzero_si128();
  const __m128i half = _mm_set1_epi32(1 << (precision_bits - 1));
  __m128i sums[4] = {half, half, half, half};
  for (int k = 0; k < count; k += 2, group += 2 * step) {
    const bool is_pair = k + 1 < count;  // else the last group is paired with itself at weight 0
    const int second_weight = is_pair ? weights[k + 1] : 0;
    const __m128i weight_pairs = _mm_set1_epi32(static_cast<std::uint16_t>(weights[k]) | second_weight * (1 << 16));
    const __m128i first = load(group);
    const __m128i second = load(is_pair ? group + step : group);
    const __m128i low = _mm_unpacklo_epi8(first, second);
    const __m128i high = _mm_unpackhi_epi8(first, second);
    const __m128i pairs[4] = {_mm_unpacklo_epi8(low, zero), _mm_unpackhi_epi8(low, zero), _mm_unpacklo_epi8(high, zero),
                              _mm_unpackhi_epi8(high, zero)};
    for (int i = 0; i < 4; ++i) sums[i] = _mm_add_epi32(sums[i], _mm_madd_epi16(pairs[i], weight_pairs));
  }
  for (__m128i& sum : sums) sum = _mm_sra_epi32(sum, _mm_cvtsi32_si128(precision_bits));
  const __m128i bytes = _mm_packus_epi16(_mm_packs_epi32(sums[0], sums[1]), _mm_packs_epi32(sums[2], sums[3]));
  Lanes mixed;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(mixed.data()), bytes);
  return mixed;
}
#else
inline Lanes mix(const std::uint8_t* group, std::ptrdiff_t step, const std::int16_t* weights, int count,
                 int precision_bits) noexcept {
  return mix_portably(group, step, weights, count, precision_bits);
}
#endif

// 16 rows of 16 bytes, with rows and columns exchanged.
inline void turn_portably(const std::uint8_t* from, std::ptrdiff_t from_step, std::uint8_t* to) noexcept {
  for (std::ptrdiff_t column = 0; column < lanes; ++column) {
    for (std::ptrdiff_t row = 0; row < lanes; ++row) to[column * lanes + row] = from[row * from_step + column];
  }
}

#if defined(__SSE2__)
// The same. A round interleaves the first eight rows with the last eight: the bits of a byte's row and column, written one
// after the other, move on by one. After four rounds row and column have changed places.
inline void turn(const std::uint8_t* from, std::ptrdiff_t from_step, std::uint8_t* to) noexcept {
  __m128i rows[lanes];
  for (__m128i& row : rows) {
    row = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    from += from_step;
  }
  for (int round = 0; round < 4; ++round) {
    __m128i mixed[lanes];
    for (std::size_t i = 0; i < lanes / 2; ++i) {
      mixed[2 * i] = _mm_unpacklo_epi8(rows[i], rows[i + lanes / 2]);
      mixed[2 * i + 1] = _mm_unpackhi_epi8(rows[i], rows[i + lanes / 2]);
    }
    std::copy_n(mixed, lanes, rows);
  }
  for (const __m128i& row : rows) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), row);
    to += lanes;
  }
}
#else
inline void turn(const std::uint8_t* from, std::ptrdiff_t from_step, std::uint8_t* to) noexcept {
  turn_portably(from, from_step, to);
}
#endif

}  // namespace escribano::resize
