#pragma once

#include "engine/kernels/tile.h"

namespace escribano::engine::kernels {

// x / (1 + e^(-2u)) with u = sqrt(2/pi) (x + 0.044715 x^3), which is the tanh form of GELU.
inline __m512 gelu(__m512 x) {
  const __m512 square = _mm512_mul_ps(x, x);
  const __m512 inner =
      _mm512_fmadd_ps(square, _mm512_set1_ps(2 * 0.7978845608F * 0.044715F), _mm512_set1_ps(2 * 0.7978845608F));
  const __m512 u2 = _mm512_mul_ps(inner, x);
  const __m512 e = exp_of_negative(_mm512_sub_ps(_mm512_setzero_ps(), _mm512_abs_ps(u2)));
  const __m512 upper = _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0F), e));
  const __mmask16 negative = _mm512_cmp_ps_mask(u2, _mm512_setzero_ps(), _CMP_LT_OQ);
  return _mm512_mask_mul_ps(upper, negative, upper, e);
}

// out = gelu(x * weight + bias) + residual of one row; what is not wanted is nullptr or false.
inline void finish_row(const float* x, int columns, const float* weight, const float* bias, bool with_gelu,
                       const float* residual, float* out) {
  for (int i = 0; i < columns; i += kLanes) {
    const __mmask16 present = lanes(columns - i);
    __m512 y = _mm512_maskz_loadu_ps(present, x + i);
    if (weight != nullptr) y = _mm512_mul_ps(y, _mm512_maskz_loadu_ps(present, weight + i));
    if (bias != nullptr) y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(present, bias + i));
    if (with_gelu) y = gelu(y);
    if (residual != nullptr) y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(present, residual + i));
    _mm512_mask_storeu_ps(out + i, present, y);
  }
}

}  // namespace escribano::engine::kernels
