#include "engine/kernels/kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace escribano::engine::kernels {
namespace {

class Kernels : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!supported()) GTEST_SKIP() << "this processor has no AVX-512 with bf16";
  }

  std::vector<float> numbers(std::size_t count, float scale = 1) {
    std::normal_distribution<float> normal(0, scale);
    std::vector<float> all(count);
    for (float& x : all) x = normal(random_);
    return all;
  }

  std::mt19937 random_{7};
  Scratch scratch_;
};

float rounded_to_bf16(float x) {
  auto bits = std::bit_cast<std::uint32_t>(x);
  bits += 0x7fffU + ((bits >> 16U) & 1U);
  return std::bit_cast<float>(bits & 0xffff0000U);
}
Bf16 to_bf16(float x) { return static_cast<Bf16>(std::bit_cast<std::uint32_t>(rounded_to_bf16(x)) >> 16U); }

// Of numbers that half precision holds exactly: eighths below 256.
F16 to_f16(float eighths) {
  if (eighths == 0) return F16{0};
  const auto bits = std::bit_cast<std::uint32_t>(eighths);
  const std::uint32_t exponent = ((bits >> 23U) & 0xffU) - 127U + 15U;
  return static_cast<F16>(((bits >> 16U) & 0x8000U) | (exponent << 10U) | ((bits >> 13U) & 0x3ffU));
}
std::vector<float> eighths(std::vector<float> all) {
  for (float& x : all) x = std::round(x * 8) / 8;
  return all;
}
std::vector<F16> to_f16(const std::vector<float>& all) {
  std::vector<F16> out(all.size());
  std::transform(all.begin(), all.end(), out.begin(), [](float x) { return to_f16(x); });
  return out;
}
std::vector<Bf16> to_bf16(const std::vector<float>& all) {
  std::vector<Bf16> out(all.size());
  std::transform(all.begin(), all.end(), out.begin(), [](float x) { return to_bf16(x); });
  return out;
}

double gelu(double x) { return 0.5 * x * (1 + std::tanh(0.7978845608 * (x + 0.044715 * x * x * x))); }

struct Shape {
  int rows, columns, depth;
};
std::string name(const Shape& s) {
  return std::to_string(s.rows) + "x" + std::to_string(s.columns) + "x" + std::to_string(s.depth);
}

// Every remainder of rows (14 a tile), columns (32 a panel, 16 a register) and depth (16 words at a time).
std::vector<Shape> shapes() {
  std::vector<Shape> all = {{1, 1, 2}, {130, 96, 192}, {57, 200, 64}};
  for (int i = 1; i <= 33; ++i) all.push_back({i, 1 + (i * 7) % 70, 2 + 2 * ((i * 5) % 40)});
  return all;
}

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

// What 8-bit products are made of: whole numbers and a scale for every 128 elements of a row.
struct Int8 {
  std::vector<int> numbers;
  std::vector<float> scales;  // of the element in the same place
};
Int8 to_int8(const std::vector<float>& rows, int depth) {
  Int8 out;
  for (std::size_t row = 0; row < rows.size(); row += depth) {
    for (int k = 0; k < depth; k += 128) {
      const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(row) + k;
      const auto end = begin + std::min(128, depth - k);
      float largest = 0;
      for (auto x = begin; x < end; ++x) largest = std::max(largest, std::abs(*x));
      for (auto x = begin; x < end; ++x) {
        out.numbers.push_back(largest == 0 ? 0 : static_cast<int>(std::nearbyint(*x * (127 / largest))));
        out.scales.push_back(largest / 127);
      }
    }
  }
  return out;
}

template <class T>
Products<T> dense(const Shape& s, const std::vector<float>& a, const std::vector<T>& b, std::vector<float>& out) {
  out.assign(static_cast<std::size_t>(s.rows * s.columns), -7);
  Products<T> work = {.a = a.data(), .b = b.data(), .out = out.data(), .rows = s.rows, .columns = s.columns};
  work.depth = s.depth;
  work.a_stride = work.b_stride = static_cast<std::size_t>(s.depth);
  work.out_stride = static_cast<std::size_t>(s.columns);
  return work;
}

class KernelsInt8 : public Kernels {
 protected:
  void SetUp() override {
    if (!supports_int8()) GTEST_SKIP() << "this processor has no AVX-512 VNNI";
  }

  template <class T>
  std::vector<float> product(const Shape& s, const std::vector<float>& a, const std::vector<T>& b, int threads = 2) {
    std::vector<float> out;
    multiply_int8(dense(s, a, b, out), scratch_, threads);
    return out;
  }
};

TEST_F(KernelsInt8, ProductsOfEveryTypeAreThoseOfTheRoundedNumbersInEveryShape) {
  auto all = shapes();
  for (const int depth : {1, 63, 64, 65, 127, 129, 192, 200, 384, 1024}) all.push_back({17, 37, depth});
  for (const Shape& s : all) {
    const auto a = numbers(static_cast<std::size_t>(s.rows * s.depth));
    const auto b = eighths(numbers(static_cast<std::size_t>(s.columns * s.depth)));
    const Int8 a8 = to_int8(a, s.depth);
    const Int8 b8 = to_int8(b, s.depth);
    const auto out = product(s, a, b);
    EXPECT_EQ(product(s, a, to_f16(b)), out) << name(s);
    EXPECT_EQ(product(s, a, to_bf16(b)), out) << name(s);
    for (int m = 0; m < s.rows; ++m) {
      for (int n = 0; n < s.columns; ++n) {
        double sum = 0;
        double exact = 0;
        double size = 1e-6;
        double bound = 0;  // half a step on either side
        for (int k = 0; k < s.depth; ++k) {
          const auto i = static_cast<std::size_t>(m * s.depth + k);
          const auto j = static_cast<std::size_t>(n * s.depth + k);
          const double x = a8.numbers[i] * static_cast<double>(a8.scales[i]);
          const double y = b8.numbers[j] * static_cast<double>(b8.scales[j]);
          sum += x * y;
          size += std::abs(x * y);
          exact += static_cast<double>(a[i]) * b[j];
          bound += (std::abs(x) * b8.scales[j] + std::abs(y) * a8.scales[i]) / 2 + a8.scales[i] * b8.scales[j] / 4;
        }
        const float got = out[static_cast<std::size_t>(m * s.columns + n)];
        ASSERT_NEAR(got, sum, 1e-5 * size) << name(s) << " at " << m << ", " << n;
        ASSERT_NEAR(got, exact, bound + 1e-4 * size) << name(s) << " at " << m << ", " << n;
      }
    }
  }
}

TEST_F(KernelsInt8, AProductIsTheSameBitForBitInAnyCompanyAndWithAnyThreads) {
  const Shape s = {61, 80, 200};
  const auto a = numbers(static_cast<std::size_t>(s.rows * s.depth));
  const auto b = to_f16(eighths(numbers(static_cast<std::size_t>(s.columns * s.depth))));
  const auto all = product(s, a, b, 1);
  EXPECT_EQ(product(s, a, b, 3), all);
  const auto part = [&](int first, int rows) {
    const std::vector<float> of_a(a.begin() + first * s.depth, a.begin() + (first + rows) * s.depth);
    ASSERT_EQ(product({rows, s.columns, s.depth}, of_a, b),
              std::vector<float>(all.begin() + first * s.columns, all.begin() + (first + rows) * s.columns))
        << rows << " from " << first;
  };
  for (int row = 0; row < s.rows; ++row) part(row, 1);
  for (int rows = 2; rows < 40; rows += 3) part(20, rows);
  for (const int columns : {1, 16, 17, 33}) {
    const std::vector<F16> of_b(b.begin(), b.begin() + columns * s.depth);
    const auto out = product({s.rows, columns, s.depth}, a, of_b);
    for (int m = 0; m < s.rows; ++m) {
      for (int n = 0; n < columns; ++n) ASSERT_EQ(out[m * columns + n], all[m * s.columns + n]) << m << ", " << n;
    }
  }
}

TEST_F(KernelsInt8, RowsOfNothingTinyLargeAndInfiniteNumbersConcernNobodyElse) {
  const Shape s = {20, 40, 200};
  auto a = numbers(static_cast<std::size_t>(s.rows * s.depth));
  const auto b = eighths(numbers(static_cast<std::size_t>(s.columns * s.depth)));
  const auto before = product(s, a, b);
  const auto row = [&](int m) { return a.begin() + m * s.depth; };
  std::fill(row(0), row(1), 0.0F);
  std::fill(row(1), row(2), std::numeric_limits<float>::denorm_min());
  std::fill(row(2), row(3), 1e-20F);
  std::fill(row(3), row(4), 1e35F);
  row(4)[150] = std::numeric_limits<float>::infinity();
  row(5)[10] = std::numeric_limits<float>::quiet_NaN();
  row(6)[10] = -std::numeric_limits<float>::quiet_NaN();
  const auto after = product(s, a, b);
  for (int n = 0; n < s.columns; ++n) {
    const auto at = [&](int m) { return after[static_cast<std::size_t>(m * s.columns + n)]; };
    EXPECT_EQ(at(0), 0);
    EXPECT_EQ(at(1), 0);
    EXPECT_NEAR(at(2) * 1e20, at(3) * 1e-35, 1e-4);
    for (int m = 4; m < 7; ++m) EXPECT_FALSE(std::isfinite(at(m))) << m;
  }
  EXPECT_TRUE(std::equal(after.begin() + 7 * s.columns, after.end(), before.begin() + 7 * s.columns));
}

TEST_F(KernelsInt8, WhatFollowsAProductIsDoneAsByItselfAndMayBeWrittenOverItsRows) {
  const Shape s = {45, 50, 50};
  const auto a = numbers(static_cast<std::size_t>(s.rows * s.depth));
  const auto b = numbers(static_cast<std::size_t>(s.columns * s.depth));
  const auto bias = numbers(static_cast<std::size_t>(s.columns));
  const auto plain = product(s, a, b);
  std::vector<float> apart = a;
  finish({.x = plain.data(),
          .out = apart.data(),
          .rows = s.rows,
          .columns = s.columns,
          .x_stride = 50,
          .out_stride = 50,
          .bias = bias.data(),
          .gelu = true,
          .residual = a.data(),
          .residual_stride = 50},
         2);
  std::vector<float> over = a;
  std::vector<float> unused;
  Products<float> work = dense(s, over, b, unused);
  work.out = over.data();
  work.bias = bias.data();
  work.gelu = true;
  work.residual = over.data();
  work.residual_stride = 50;
  multiply_int8(work, scratch_, 2);
  EXPECT_EQ(over, apart);
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

struct Head {
  int queries, keys, width, heads, kv_heads;
};

// What attend() should give, in double precision: [query][head][width].
std::vector<double> attention(const Head& h, const std::vector<float>& q, const std::vector<float>& k,
                              const std::vector<float>& v, const std::vector<float>& mask, float scale) {
  std::vector<double> out(static_cast<std::size_t>(h.queries * h.heads * h.width));
  for (int head = 0; head < h.heads; ++head) {
    const int kv = head / (h.heads / h.kv_heads);
    for (int m = 0; m < h.queries; ++m) {
      std::vector<double> p(static_cast<std::size_t>(h.keys));
      for (int n = 0; n < h.keys; ++n) {
        double sum = 0;
        for (int d = 0; d < h.width; ++d) {
          sum += static_cast<double>(q[static_cast<std::size_t>((m * h.heads + head) * h.width + d)]) *
                 static_cast<double>(k[static_cast<std::size_t>((n * h.kv_heads + kv) * h.width + d)]);
        }
        p[static_cast<std::size_t>(n)] =
            scale * sum + (mask.empty() ? 0 : static_cast<double>(mask[static_cast<std::size_t>(m * h.keys + n)]));
      }
      const double most = *std::max_element(p.begin(), p.end());
      double all = 0;
      for (double& x : p) all += x = std::exp(x - most);
      for (int d = 0; d < h.width; ++d) {
        double sum = 0;
        for (int n = 0; n < h.keys; ++n) {
          sum += p[static_cast<std::size_t>(n)] *
                 static_cast<double>(v[static_cast<std::size_t>((n * h.kv_heads + kv) * h.width + d)]);
        }
        out[static_cast<std::size_t>((m * h.heads + head) * h.width + d)] = sum / all;
      }
    }
  }
  return out;
}

Attention work_of(const Head& h, const std::vector<float>& q, const void* k, const void* v, std::vector<float>& out) {
  Attention work = {.q = q.data(), .k = k, .v = v};
  work.out = out.data();
  work.heads = h.heads;
  work.kv_heads = h.kv_heads;
  work.queries = h.queries;
  work.keys = h.keys;
  work.width = h.width;
  work.scale = 0.3F;
  work.q_stride = work.out_stride = static_cast<std::size_t>(h.heads * h.width);
  work.k_stride = work.v_stride = static_cast<std::size_t>(h.kv_heads * h.width);
  work.q_step = work.k_step = work.v_step = work.out_step = static_cast<std::size_t>(h.width);
  return work;
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
