#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "engine/kernels/kernels.h"
#include "engine/kernels_support.h"

namespace escribano::engine::kernels {
namespace {

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

}  // namespace
}  // namespace escribano::engine::kernels
