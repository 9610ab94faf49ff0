#include <cmath>
#include <cstddef>

#include "engine/kernels/kernels.h"
#include "engine/kernels/tile.h"

// What is done between products, row by row: it takes little time, but would otherwise be done elsewhere, with a wait of
// all threads for each other before and after.
namespace escribano::engine::kernels {
namespace {

float sum_of(const float* x, int columns) {
  __m512 sum = _mm512_setzero_ps();
  for (int i = 0; i < columns; i += kLanes) {
    sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes(columns - i), x + i));
  }
  return _mm512_reduce_add_ps(sum);
}

float sum_of_squares(const float* x, int columns, float mean) {
  __m512 sum = _mm512_setzero_ps();
  for (int i = 0; i < columns; i += kLanes) {
    const __mmask16 present = lanes(columns - i);
    const __m512 d = _mm512_maskz_sub_ps(present, _mm512_maskz_loadu_ps(present, x + i), _mm512_set1_ps(mean));
    sum = _mm512_fmadd_ps(d, d, sum);
  }
  return _mm512_reduce_add_ps(sum);
}

void normalize_row(const Normalization& n, const float* x, float* out) {
  const auto count = static_cast<float>(n.columns);
  const float mean = n.centred ? sum_of(x, n.columns) / count : 0;
  const float scale = 1.0F / std::sqrt(sum_of_squares(x, n.columns, mean) / count + n.epsilon);
  for (int i = 0; i < n.columns; i += kLanes) {
    const __mmask16 present = lanes(n.columns - i);
    __m512 y = _mm512_sub_ps(_mm512_maskz_loadu_ps(present, x + i), _mm512_set1_ps(mean));
    y = _mm512_mul_ps(y, _mm512_set1_ps(scale));
    if (n.weight != nullptr) y = _mm512_mul_ps(y, _mm512_maskz_loadu_ps(present, n.weight + i));
    if (n.bias != nullptr) y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(present, n.bias + i));
    _mm512_mask_storeu_ps(out + i, present, y);
  }
}

// x / (1 + e^-x)
__m512 silu(__m512 x) {
  const __m512 e = exp_of_negative(_mm512_sub_ps(_mm512_setzero_ps(), _mm512_abs_ps(x)));
  const __m512 upper = _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0F), e));
  const __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
  return _mm512_mask_mul_ps(upper, negative, upper, e);
}

void rotate_head(const float* x, const float* cosines, const float* sines, int pairs, float* out) {
  for (int i = 0; i < pairs; i += kLanes) {
    const __mmask16 present = lanes(pairs - i);
    const __m512 a = _mm512_maskz_loadu_ps(present, x + i);
    const __m512 b = _mm512_maskz_loadu_ps(present, x + pairs + i);
    const __m512 c = _mm512_maskz_loadu_ps(present, cosines + i);
    const __m512 s = _mm512_maskz_loadu_ps(present, sines + i);
    _mm512_mask_storeu_ps(out + i, present, _mm512_fmsub_ps(a, c, _mm512_mul_ps(b, s)));
    _mm512_mask_storeu_ps(out + pairs + i, present, _mm512_fmadd_ps(a, s, _mm512_mul_ps(b, c)));
  }
}

}  // namespace

void normalize(const Normalization& work, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (std::size_t row = 0; row < work.rows; ++row) {
    const std::size_t at = row * static_cast<std::size_t>(work.columns);
    normalize_row(work, work.x + at, work.out + at);
  }
}

void swiglu(const float* gate, const float* up, float* out, std::size_t count, int threads) {
  constexpr std::size_t kChunk = 4096;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (std::size_t chunk = 0; chunk < count; chunk += kChunk) {
    const std::size_t end = chunk + kChunk < count ? chunk + kChunk : count;
    for (std::size_t i = chunk; i < end; i += kLanes) {
      const __mmask16 present = lanes(static_cast<int>(end - i));
      const __m512 g = silu(_mm512_maskz_loadu_ps(present, gate + i));
      _mm512_mask_storeu_ps(out + i, present, _mm512_mul_ps(g, _mm512_maskz_loadu_ps(present, up + i)));
    }
  }
}

void rotate(const Rotation& work, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int token = 0; token < work.tokens; ++token) {
    const std::size_t angles = static_cast<std::size_t>(token) * static_cast<std::size_t>(work.pairs);
    for (int head = 0; head < work.heads; ++head) {
      rotate_head(work.x + token * work.x_stride + head * work.x_step, work.cosines + angles, work.sines + angles,
                  work.pairs, work.out + token * work.out_stride + head * work.out_step);
    }
  }
}

void round_to_f16(const float* x, F16* out, std::size_t count) {
  for (std::size_t i = 0; i < count; i += kLanes) {
    const __mmask16 present = lanes(static_cast<int>(count - i));
    const __m256i halves =
        _mm512_cvtps_ph(_mm512_maskz_loadu_ps(present, x + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_mask_storeu_epi16(out + i, present, halves);
  }
}

void blend(const float* const (&x)[4], const float (&weights)[4], float* out, std::size_t count) {
  for (std::size_t i = 0; i < count; i += kLanes) {
    const __mmask16 present = lanes(static_cast<int>(count - i));
    __m512 y = _mm512_mul_ps(_mm512_maskz_loadu_ps(present, x[0] + i), _mm512_set1_ps(weights[0]));
    for (int k = 1; k < 4; ++k) {
      y = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(present, x[k] + i), _mm512_set1_ps(weights[k]), y);
    }
    _mm512_mask_storeu_ps(out + i, present, y);
  }
}

}  // namespace escribano::engine::kernels
