#include "engine/kernels/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "engine/kernels_support.h"

namespace escribano::engine::kernels {
namespace {

double gelu(double x) { return 0.5 * x * (1 + std::tanh(0.7978845608 * (x + 0.044715 * x * x * x))); }

constexpr std::size_t kGap = 3;  // unused elements behind each row

// Places of a matrix with gaps; what lies in the gaps must neither be read as numbers nor written.
template <class T>
std::vector<T> with_gaps(const std::vector<T>& dense, int rows, int columns, std::size_t gap, T filler) {
  std::vector<T> all;
  for (int m = 0; m < rows; ++m) {
    all.insert(all.end(), dense.begin() + m * columns, dense.begin() + (m + 1) * columns);
    all.insert(all.end(), gap, filler);
  }
  return all;
}

template <class T>
void expect_products(const Shape& s, const std::vector<float>& a, const std::vector<float>& b,
                     const std::vector<T>& b_t, bool a_is_rounded, Scratch& scratch) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto a_gaps = with_gaps(a, s.rows, s.depth, kGap, nan);
  const auto b_gaps = with_gaps(b_t, s.columns, s.depth, 2, T{});
  std::vector<float> out(static_cast<std::size_t>(s.rows) * (s.columns + kGap), -7);
  Products<T> work = {.a = a_gaps.data(), .b = b_gaps.data(), .out = out.data(), .rows = s.rows, .columns = s.columns};
  work.depth = s.depth;
  work.a_stride = s.depth + kGap;
  work.b_stride = s.depth + 2;
  work.out_stride = s.columns + kGap;
  multiply(work, scratch, 2);
  for (int m = 0; m < s.rows; ++m) {
    for (int n = 0; n < s.columns; ++n) {
      double sum = 0;
      double size = 1e-6;
      for (int k = 0; k < s.depth; ++k) {
        const float x = a[static_cast<std::size_t>(m * s.depth + k)];
        const double product = static_cast<double>(a_is_rounded ? rounded_to_bf16(x) : x) *
                               static_cast<double>(b[static_cast<std::size_t>(n * s.depth + k)]);
        sum += product;
        size += std::abs(product);
      }
      ASSERT_NEAR(out[m * (s.columns + kGap) + n], sum, 1e-5 * size) << name(s) << " at " << m << ", " << n;
    }
    for (std::size_t i = 0; i < kGap; ++i) ASSERT_EQ(out[m * (s.columns + kGap) + s.columns + i], -7) << name(s);
  }
}

TEST_F(Kernels, ProductsOfEveryTypeAreRightInEveryShape) {
  for (const Shape& s : shapes()) {
    const auto a = numbers(static_cast<std::size_t>(s.rows * s.depth));
    const auto b = eighths(numbers(static_cast<std::size_t>(s.columns * s.depth)));
    expect_products<float>(s, a, b, b, false, scratch_);
    expect_products<F16>(s, a, b, to_f16(b), false, scratch_);
    expect_products<Bf16>(s, a, b, to_bf16(b), true, scratch_);
  }
}

TEST_F(Kernels, AProductIsTheSameBitForBitInAnyCompanyAndWithAnyThreads) {
  const Shape s = {61, 80, 96};
  const auto a = numbers(static_cast<std::size_t>(s.rows * s.depth));
  const auto b = to_bf16(numbers(static_cast<std::size_t>(s.columns * s.depth)));
  const auto product = [&](int first, int rows, int threads) {
    std::vector<float> out(static_cast<std::size_t>(rows * s.columns));
    Products<Bf16> work = {.a = a.data() + first * s.depth, .b = b.data(), .out = out.data(), .rows = rows};
    work.columns = s.columns;
    work.depth = s.depth;
    work.a_stride = work.b_stride = static_cast<std::size_t>(s.depth);
    work.out_stride = static_cast<std::size_t>(s.columns);
    multiply(work, scratch_, threads);
    return out;
  };
  const auto all = product(0, s.rows, 1);
  EXPECT_EQ(product(0, s.rows, 3), all);
  for (int row = 0; row < s.rows; ++row) {
    const std::vector<float> alone(all.begin() + row * s.columns, all.begin() + (row + 1) * s.columns);
    ASSERT_EQ(product(row, 1, 2), alone) << row;
  }
  for (int rows = 2; rows < 40; rows += 3) {
    ASSERT_EQ(product(20, rows, 2),
              std::vector<float>(all.begin() + 20 * s.columns, all.begin() + (20 + rows) * s.columns));
  }
}

TEST_F(Kernels, AProductMayBeWrittenOverItsRows) {
  // The second depth is one at which rows are packed anyhow, because they would have the same places in the cache.
  for (const Shape& s : {Shape{33, 48, 96}, Shape{20, 40, 1024}}) {
    const auto a = numbers(static_cast<std::size_t>(s.rows * s.depth));
    const auto b = numbers(static_cast<std::size_t>(s.columns * s.depth));
    std::vector<float> apart(static_cast<std::size_t>(s.rows * s.columns));
    Products<float> work = {.a = a.data(), .b = b.data(), .out = apart.data(), .rows = s.rows, .columns = s.columns};
    work.depth = s.depth;
    work.a_stride = work.b_stride = static_cast<std::size_t>(s.depth);
    work.out_stride = static_cast<std::size_t>(s.columns);
    multiply(work, scratch_, 2);
    for (const std::size_t offset : {std::size_t{0}, std::size_t{17}}) {
      std::vector<float> over = a;
      work.a = over.data();
      work.out = over.data() + offset;
      multiply(work, scratch_, 2);
      ASSERT_EQ(std::vector<float>(over.begin() + offset, over.begin() + offset + apart.size()), apart) << name(s);
    }
  }
}

TEST_F(Kernels, ProductsOfRoundedFloatsAreThoseOfBf16) {
  const Shape s = {30, 70, 66};
  const auto a = numbers(static_cast<std::size_t>(s.rows * s.depth));
  const auto b = eighths(numbers(static_cast<std::size_t>(s.columns * s.depth)));
  const auto b_bf16 = to_bf16(b);
  const auto b_f16 = to_f16(b);
  std::vector<float> of_bf16;
  std::vector<float> of_floats;
  std::vector<float> of_f16;
  multiply(dense(s, a, b_bf16, of_bf16), scratch_, 2);
  multiply_bf16(dense(s, a, b, of_floats), scratch_, 2);
  multiply_bf16(dense(s, a, b_f16, of_f16), scratch_, 1);
  EXPECT_EQ(of_floats, of_bf16);
  EXPECT_EQ(of_f16, of_bf16);
}

TEST_F(Kernels, RowsAreNormalizedWithAndWithoutTheirMean) {
  for (const int columns : {1, 16, 31, 128, 200}) {
    constexpr int kRows = 5;
    auto x = numbers(static_cast<std::size_t>(kRows * columns));
    for (float& number : x) number += 3;
    const auto weight = numbers(static_cast<std::size_t>(columns));
    const auto bias = numbers(static_cast<std::size_t>(columns));
    for (const bool centred : {true, false}) {
      std::vector<float> out = x;  // in place
      normalize({.x = out.data(),
                 .out = out.data(),
                 .rows = kRows,
                 .columns = columns,
                 .epsilon = 1e-3F,
                 .centred = centred,
                 .weight = weight.data(),
                 .bias = centred ? bias.data() : nullptr},
                2);
      for (int row = 0; row < kRows; ++row) {
        const float* const from = x.data() + row * columns;
        double mean = 0;
        for (int i = 0; centred && i < columns; ++i) mean += from[i] / static_cast<double>(columns);
        double square = 1e-3;
        for (int i = 0; i < columns; ++i) square += (from[i] - mean) * (from[i] - mean) / columns;
        for (int i = 0; i < columns; ++i) {
          const auto c = static_cast<std::size_t>(i);
          const double y = (from[i] - mean) / std::sqrt(square) * weight[c] + (centred ? bias[c] : 0);
          ASSERT_NEAR(out[static_cast<std::size_t>(row * columns + i)], y, 1e-5 * (1 + std::abs(y))) << columns;
        }
      }
    }
  }
}

TEST_F(Kernels, SwigluIsRightForNumbersOfEverySizeAndSign) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{40}, std::size_t{9000}}) {
    const auto gate = numbers(count, 20);
    const auto up = numbers(count);
    std::vector<float> out = up;
    swiglu(gate.data(), out.data(), out.data(), count, 2);
    for (std::size_t i = 0; i < count; ++i) {
      const double y = gate[i] / (1 + std::exp(-static_cast<double>(gate[i]))) * up[i];
      ASSERT_NEAR(out[i], y, 1e-5 * (1 + std::abs(y))) << gate[i];
    }
  }
}

TEST_F(Kernels, HeadsAreTurnedByTheAnglesOfTheirToken) {
  constexpr int kTokens = 5;
  constexpr int kHeads = 3;
  constexpr std::size_t kStride = 250;  // with something between tokens that stays as it is
  for (const int pairs : {4, 16, 36}) {
    const auto x = numbers(kTokens * kStride);
    const auto cosines = numbers(static_cast<std::size_t>(kTokens * pairs));
    const auto sines = numbers(static_cast<std::size_t>(kTokens * pairs));
    std::vector<float> out = x;
    const auto head_size = static_cast<std::size_t>(2 * pairs);
    rotate({.x = out.data(),
            .out = out.data(),
            .cosines = cosines.data(),
            .sines = sines.data(),
            .tokens = kTokens,
            .heads = kHeads,
            .pairs = pairs,
            .x_stride = kStride,
            .out_stride = kStride,
            .x_step = head_size,
            .out_step = head_size},
           2);
    std::vector<float> expected = x;
    for (int t = 0; t < kTokens; ++t) {
      for (int h = 0; h < kHeads; ++h) {
        for (int i = 0; i < pairs; ++i) {
          const auto low = static_cast<std::size_t>(t) * kStride + static_cast<std::size_t>(h) * head_size +
                           static_cast<std::size_t>(i);
          const std::size_t high = low + static_cast<std::size_t>(pairs);
          const auto angle = static_cast<std::size_t>(t * pairs + i);
          expected[low] = x[low] * cosines[angle] - x[high] * sines[angle];
          expected[high] = x[low] * sines[angle] + x[high] * cosines[angle];
        }
      }
    }
    for (std::size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], expected[i], 1e-5) << pairs << " at " << i;
  }
}

TEST_F(Kernels, BiasGeluAndResidualFollowInThisOrderAndMayBeWrittenOverWhatTheyRead) {
  const Shape s = {45, 50, 32};
  const auto a = numbers(static_cast<std::size_t>(s.rows * s.depth));
  const auto b = numbers(static_cast<std::size_t>(s.columns * s.depth));
  const auto bias = numbers(static_cast<std::size_t>(s.columns));
  const auto residual = numbers(static_cast<std::size_t>(s.rows * s.columns));
  std::vector<float> plain(residual.size());
  Products<float> work = {.a = a.data(), .b = b.data(), .out = plain.data(), .rows = s.rows, .columns = s.columns};
  work.depth = s.depth;
  work.a_stride = work.b_stride = static_cast<std::size_t>(s.depth);
  work.out_stride = static_cast<std::size_t>(s.columns);
  multiply(work, scratch_, 2);

  std::vector<float> in_place = residual;
  work.out = in_place.data();
  work.bias = bias.data();
  work.gelu = true;
  work.residual = in_place.data();
  work.residual_stride = static_cast<std::size_t>(s.columns);
  multiply(work, scratch_, 2);
  std::vector<float> apart = residual;
  finish({.x = plain.data(),
          .out = apart.data(),
          .rows = s.rows,
          .columns = s.columns,
          .x_stride = 50,
          .out_stride = 50,
          .bias = bias.data(),
          .gelu = true,
          .residual = apart.data(),
          .residual_stride = 50},
         2);
  EXPECT_EQ(in_place, apart);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const double expected = gelu(static_cast<double>(plain[i]) + bias[i % 50]) + residual[i];
    ASSERT_NEAR(in_place[i], expected, 1e-5 * (1 + std::abs(expected)));
  }
}

TEST_F(Kernels, SoftmaxIsRightForTinyLargeAndEqualNumbers) {
  for (const int columns : {1, 15, 16, 17, 100}) {
    std::vector<float> x = numbers(static_cast<std::size_t>(4 * columns), 30);
    std::fill_n(x.begin(), columns, 5.0F);
    std::fill_n(x.begin() + columns, columns, -1e30F);
    x[static_cast<std::size_t>(columns)] = 0;
    std::vector<float> out(x.size());
    softmax(x.data(), out.data(), 4, columns, 0.5F, 2);
    for (int row = 0; row < 4; ++row) {
      const auto* from = x.data() + row * columns;
      const double most = *std::max_element(from, from + columns);
      double sum = 0;
      for (int i = 0; i < columns; ++i) sum += std::exp(0.5 * (from[i] - most));
      for (int i = 0; i < columns; ++i) {
        ASSERT_NEAR(out[static_cast<std::size_t>(row * columns + i)], std::exp(0.5 * (from[i] - most)) / sum, 1e-6);
      }
    }
  }
}

TEST_F(Kernels, AttentionIsRightExactAndInBf16WithMasksAndSharedHeads) {
  for (const Head& h : {Head{1, 1, 16, 1, 1}, Head{14, 32, 64, 2, 2}, Head{15, 33, 48, 2, 1}, Head{40, 101, 80, 4, 2},
                        Head{29, 64, 128, 4, 1}, Head{3, 7, 112, 1, 1}}) {
    const auto q = numbers(static_cast<std::size_t>(h.queries * h.heads * h.width));
    const auto k = eighths(numbers(static_cast<std::size_t>(h.keys * h.kv_heads * h.width)));
    const auto v = eighths(numbers(static_cast<std::size_t>(h.keys * h.kv_heads * h.width)));
    const auto k16 = to_f16(k);
    const auto v16 = to_f16(v);
    // Causal, as if the last query were the last key.
    std::vector<float> mask(static_cast<std::size_t>(h.queries * h.keys));
    std::vector<F16> mask16(mask.size());
    for (int m = 0; m < h.queries; ++m) {
      for (int n = 0; n < h.keys; ++n) {
        const bool closed = n > 0 && n > h.keys - h.queries + m;
        mask[static_cast<std::size_t>(m * h.keys + n)] = closed ? -std::numeric_limits<float>::infinity() : 0;
        mask16[static_cast<std::size_t>(m * h.keys + n)] = static_cast<F16>(closed ? 0xfc00 : 0);
      }
    }
    for (const bool masked : {false, true}) {
      const auto expected = attention(h, q, k, v, masked ? mask : std::vector<float>(), 0.3F);
      for (const bool exact : {true, false}) {
        std::vector<float> out(expected.size(), -7);
        Attention work = work_of(h, q, k16.data(), v16.data(), out);
        work.exact = exact;
        if (masked) {
          work.mask = mask16.data();
          work.mask_stride = static_cast<std::size_t>(h.keys);
        }
        attend(work, scratch_, 2);
        for (std::size_t i = 0; i < out.size(); ++i) {
          ASSERT_NEAR(out[i], expected[i], exact ? 2e-5 : 5e-2) << h.keys << " keys, " << h.width << ", at " << i;
        }
      }
    }
  }
}

TEST_F(Kernels, AttentionReadsFloatsAndTurnedValuesAndMayBeWrittenOverItsQueries) {
  const Head h = {37, 53, 64, 3, 3};
  const auto q = numbers(static_cast<std::size_t>(h.queries * h.heads * h.width));
  const auto k = numbers(static_cast<std::size_t>(h.keys * h.kv_heads * h.width));
  const auto v = numbers(k.size());
  std::vector<float> turned(v.size());  // [head][column][key]
  for (int n = 0; n < h.keys; ++n) {
    for (int c = 0; c < h.heads * h.width; ++c) {
      turned[static_cast<std::size_t>(c * h.keys + n)] = v[static_cast<std::size_t>(n * h.heads * h.width + c)];
    }
  }
  const auto expected = attention(h, q, k, v, {}, 0.3F);
  for (const bool exact : {true, false}) {
    std::vector<float> over = q;
    Attention work = work_of(h, over, k.data(), turned.data(), over);
    work.type = Attention::Type::f32;
    work.exact = exact;
    work.v_transposed = true;
    work.v_stride = static_cast<std::size_t>(h.keys);
    work.v_step = static_cast<std::size_t>(h.keys * h.width);
    attend(work, scratch_, 2);
    for (std::size_t i = 0; i < over.size(); ++i) ASSERT_NEAR(over[i], expected[i], exact ? 2e-5 : 5e-2) << i;
  }
}

}  // namespace
}  // namespace escribano::engine::kernels
