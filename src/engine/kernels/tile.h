#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <immintrin.h>

#include "engine/kernels/kernels.h"

// The innermost loops, on 32-bit words: a word is one float, or two bf16 numbers that lie beside each other.
// For files that are compiled for AVX-512 with bf16.
namespace escribano::engine::kernels {

using Word = std::uint32_t;

constexpr int kLanes = 16;       // words of a register
constexpr int kTileRows = 14;    // with two registers a row: 28 sums, 2 of B, 1 of A of the 32 registers there are
constexpr int kPanelLanes = 32;  // columns of B that are packed together

struct DotFloat {
  static __m512 add(__m512 sum, Word a, __m512i b) {
    return _mm512_fmadd_ps(_mm512_set1_ps(std::bit_cast<float>(a)), _mm512_castsi512_ps(b), sum);
  }
};
struct DotBf16 {
  static __m512 add(__m512 sum, Word a, __m512i b) {
    return _mm512_dpbf16_ps(sum, std::bit_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(a))),
                            std::bit_cast<__m512bh>(b));
  }
};

// Where the words of A lie: row after row, or packed as pack_rows() leaves them, 16 beside each other.
struct RowMajor {
  const Word* a;
  std::size_t stride;
  const Word* at(std::ptrdiff_t row, std::ptrdiff_t w) const { return a + row * stride + w; }
};
struct Packed {
  const Word* a;
  const Word* at(std::ptrdiff_t row, std::ptrdiff_t w) const { return a + w * kLanes + row; }
};

// Memory that will be wanted soon: `step` bytes (up to 128) of it are asked for with each word.
struct Ahead {
  const char* at;
  std::size_t step;
  void fetch(std::ptrdiff_t w) const {
    const char* const here = at + static_cast<std::size_t>(w) * step;
    _mm_prefetch(here, _MM_HINT_T1);
    _mm_prefetch(here + step / 2, _MM_HINT_T1);
  }
};

// out[i][j] = sum over w < depth of a[i][w] . panel[w][j], for kRows rows and kVectors * 16 columns, of which the last
// register stores those in `last`.
template <class Dot, int kRows, int kVectors, class A>
void multiply_tile(A a, const Word* panel, int depth, float* out, std::size_t out_stride, __mmask16 last,
                   Ahead ahead = {nullptr, 0}) {
  __m512 sums[kRows][kVectors];
#pragma GCC unroll 16
  for (std::ptrdiff_t i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (std::ptrdiff_t j = 0; j < kVectors; ++j) sums[i][j] = _mm512_setzero_ps();
  }
  for (std::ptrdiff_t w = 0; w < depth; ++w) {
    ahead.fetch(w);
    __m512i b[kVectors];
#pragma GCC unroll 8
    for (std::ptrdiff_t j = 0; j < kVectors; ++j) b[j] = _mm512_load_si512(panel + (w * kVectors + j) * kLanes);
#pragma GCC unroll 16
    for (std::ptrdiff_t i = 0; i < kRows; ++i) {
      Word word;
      std::memcpy(&word, a.at(i, w), sizeof word);
#pragma GCC unroll 8
      for (std::ptrdiff_t j = 0; j < kVectors; ++j) sums[i][j] = Dot::add(sums[i][j], word, b[j]);
    }
  }
#pragma GCC unroll 16
  for (std::ptrdiff_t i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (std::ptrdiff_t j = 0; j + 1 < kVectors; ++j) _mm512_storeu_ps(out + i * out_stride + j * kLanes, sums[i][j]);
    constexpr std::ptrdiff_t kLast = kVectors - 1;
    _mm512_mask_storeu_ps(out + i * out_stride + kLast * kLanes, last, sums[i][kLast]);
  }
}

// The same for any number of rows up to kRows.
template <class Dot, int kRows, int kVectors, class A>
void multiply_rows(int rows, A a, const Word* panel, int depth, float* out, std::size_t out_stride, __mmask16 last,
                   Ahead ahead = {nullptr, 0}) {
  if (rows == kRows) return multiply_tile<Dot, kRows, kVectors>(a, panel, depth, out, out_stride, last, ahead);
  if constexpr (kRows > 1) {
    multiply_rows<Dot, kRows - 1, kVectors>(rows, a, panel, depth, out, out_stride, last);
  }
}

// 16 registers as a matrix of words, turned on its diagonal.
inline void transpose(__m512i (&r)[kLanes]) {
  __m512i t[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512i a = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    const __m512i b = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    const __m512i c = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    const __m512i d = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    t[i] = _mm512_shuffle_i32x4(a, c, 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(b, d, 0x88);
    t[i + 8] = _mm512_shuffle_i32x4(a, c, 0xdd);
    t[i + 12] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) r[i] = t[i];
}

// The 16 floats of each of four registers added up, for every one of them in the same order.
inline __m128 sums_of(__m512 a, __m512 b, __m512 c, __m512 d) {
  const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
  const __m512d low = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
  const __m512d high = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
  const __m512 all = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
  return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

// The lowest `count` lanes, all from 16 on.
inline __mmask16 lanes(int count) {
  return count >= kLanes ? __mmask16(0xffff) : static_cast<__mmask16>((1U << static_cast<unsigned>(count)) - 1U);
}

// How 16 words of B are read from where `present` says that there are some.
struct LoadBf16 {  // pairs
  using Element = Bf16;
  static constexpr int kElementsAWord = 2;
  static __m512i load(const Bf16* b, __mmask16 present) { return _mm512_maskz_loadu_epi32(present, b); }
};
struct LoadFloat {
  using Element = float;
  static constexpr int kElementsAWord = 1;
  static __m512i load(const float* b, __mmask16 present) {
    return _mm512_castps_si512(_mm512_maskz_loadu_ps(present, b));
  }
};
struct LoadFloatAsBf16 {  // pairs
  using Element = float;
  static constexpr int kElementsAWord = 2;
  static __m512i load(const float* b, __mmask16 present) {
    const auto floats = _pdep_u32(present, 0x55555555U) * 3U;  // two for each word
    const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(floats), b);
    const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(floats >> 16U), b + kLanes);
    return std::bit_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
  }
};
struct LoadF16AsFloat {
  using Element = F16;
  static constexpr int kElementsAWord = 1;
  static __m512i load(const F16* b, __mmask16 present) {
    return _mm512_castps_si512(_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(present, b)));
  }
};
struct LoadF16AsBf16 {  // pairs
  using Element = F16;
  static constexpr int kElementsAWord = 2;
  static __m512i load(const F16* b, __mmask16 present) {
    const __m512i words = _mm512_maskz_loadu_epi32(present, b);
    const __m512 low = _mm512_cvtph_ps(_mm512_castsi512_si256(words));
    const __m512 high = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(words, 1));
    return std::bit_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
  }
};

// Packs `rows` (at most 16) rows of `depth` words into panel[w][0..15], `panel_stride` words from w to w; absent rows
// become zeros. `b_stride` is in elements.
template <class Load>
void pack_rows(const typename Load::Element* b, std::size_t b_stride, int rows, int depth, Word* panel,
               std::ptrdiff_t panel_stride) {
  for (int w = 0; w < depth; w += kLanes) {
    const __mmask16 present = lanes(depth - w);
    __m512i r[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      r[i] = i < rows ? Load::load(b + i * b_stride + w * Load::kElementsAWord, present) : _mm512_setzero_si512();
    }
    transpose(r);
    const int count = depth - w < kLanes ? depth - w : kLanes;
    for (int i = 0; i < count; ++i) _mm512_store_si512(panel + (w + i) * panel_stride, r[i]);
  }
}

// e^x for x <= 0, within 2 units in the last place; 0 below -87. The polynomial is the Taylor series of 2^f to the sixth
// order on |f| <= 1/2, its largest error 2^-23.
inline __m512 exp_of_negative(__m512 x) {
  const __m512 y = _mm512_mul_ps(_mm512_max_ps(x, _mm512_set1_ps(-127.0F)), _mm512_set1_ps(1.442695041F));
  const __m512 whole = _mm512_roundscale_ps(y, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(y, whole);
  __m512 p = _mm512_set1_ps(1.540353039e-4F);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.333355815e-3F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.618129108e-3F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.550410866e-2F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.402265070e-1F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.931471806e-1F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0F));
  return _mm512_scalef_ps(p, whole);
}

}  // namespace escribano::engine::kernels
