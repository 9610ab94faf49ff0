#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "engine/kernels/kernels.h"
#include "engine/kernels_support.h"

namespace escribano::engine::kernels {
namespace {

class KernelsFew : public Kernels {
 protected:
  template <class T>
  std::vector<float> product(const Shape& s, const std::vector<float>& a, const std::vector<T>& b, int threads = 2) {
    std::vector<float> out;
    multiply_few(dense(s, a, b, out), scratch_, threads);
    return out;
  }
};

// Every remainder of rows (6 at once), columns (4 at once) and depth (16 words), and columns for many tasks.
std::vector<Shape> few_shapes() {
  auto all = shapes();
  for (int rows = 1; rows <= 13; ++rows) all.push_back({rows, 5 * rows, 30 + 2 * rows});
  all.push_back({2, 1027, 66});
  all.push_back({7, 90, 4096});
  return all;
}

TEST_F(KernelsFew, ProductsOfEveryTypeAreRightInEveryShape) {
  for (const Shape& s : few_shapes()) {
    const auto a = numbers(static_cast<std::size_t>(s.rows * s.depth));
    const auto b = eighths(numbers(static_cast<std::size_t>(s.columns * s.depth)));
    const auto of_floats = product(s, a, b);
    EXPECT_EQ(product(s, a, to_f16(b)), of_floats) << name(s);
    const auto of_bf16 = product(s, a, to_bf16(b));
    for (int m = 0; m < s.rows; ++m) {
      for (int n = 0; n < s.columns; ++n) {
        double sum = 0;
        double rounded = 0;
        double size = 1e-6;
        for (int k = 0; k < s.depth; ++k) {
          const float x = a[static_cast<std::size_t>(m * s.depth + k)];
          const auto y = static_cast<double>(b[static_cast<std::size_t>(n * s.depth + k)]);
          sum += x * y;
          rounded += rounded_to_bf16(x) * y;
          size += std::abs(x * y);
        }
        const auto at = static_cast<std::size_t>(m * s.columns + n);
        ASSERT_NEAR(of_floats[at], sum, 1e-6 * size) << name(s) << " at " << m << ", " << n;
        ASSERT_NEAR(of_bf16[at], rounded, 1e-6 * size) << name(s) << " at " << m << ", " << n;
      }
    }
  }
}

TEST_F(KernelsFew, AProductIsTheSameBitForBitInAnyCompanyAndWithAnyThreads) {
  const Shape s = {23, 301, 162};
  const auto a = numbers(static_cast<std::size_t>(s.rows * s.depth));
  const auto b = to_bf16(numbers(static_cast<std::size_t>(s.columns * s.depth)));
  const auto all = product(s, a, b, 1);
  EXPECT_EQ(product(s, a, b, 3), all);
  for (int rows = 1; rows < s.rows; ++rows) {
    for (const int first : {0, s.rows - rows}) {
      const std::vector<float> of_a(a.begin() + first * s.depth, a.begin() + (first + rows) * s.depth);
      ASSERT_EQ(product({rows, s.columns, s.depth}, of_a, b),
                std::vector<float>(all.begin() + first * s.columns, all.begin() + (first + rows) * s.columns))
          << rows << " from " << first;
    }
  }
  for (const int columns : {1, 2, 3, 4, 63, 66}) {
    const auto out =
        product({s.rows, columns, s.depth}, a, std::vector<Bf16>(b.begin(), b.begin() + columns * s.depth));
    for (int m = 0; m < s.rows; ++m) {
      for (int n = 0; n < columns; ++n) ASSERT_EQ(out[m * columns + n], all[m * s.columns + n]) << m << ", " << n;
    }
  }
}

TEST_F(KernelsFew, WhatLiesInTheGapsIsNeitherReadNorWrittenAndWhatFollowsIsDoneAsByItself) {
  constexpr int kRows = 9, kColumns = 70, kDepth = 50, kGap = 6;
  const auto a = numbers(kRows * kDepth);
  const auto b = numbers(kColumns * kDepth);
  const auto bias = numbers(kColumns);
  const auto plain = product({kRows, kColumns, kDepth}, a, b);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> a_gaps(kRows * (kDepth + kGap), nan);
  std::vector<float> b_gaps(kColumns * (kDepth + kGap), nan);
  for (int m = 0; m < kRows; ++m) std::copy_n(a.begin() + m * kDepth, kDepth, a_gaps.begin() + m * (kDepth + kGap));
  for (int n = 0; n < kColumns; ++n) std::copy_n(b.begin() + n * kDepth, kDepth, b_gaps.begin() + n * (kDepth + kGap));
  std::vector<float> out(kRows * (kColumns + kGap), 3);
  Products<float> work = {
      .a = a_gaps.data(), .b = b_gaps.data(), .out = out.data(), .rows = kRows, .columns = kColumns};
  work.depth = kDepth;
  work.a_stride = work.b_stride = kDepth + kGap;
  work.out_stride = work.residual_stride = kColumns + kGap;
  work.bias = bias.data();
  work.gelu = true;
  work.residual = out.data();
  multiply_few(work, scratch_, 2);
  std::vector<float> expected(kRows * (kColumns + kGap), 3);
  finish({.x = plain.data(),
          .out = expected.data(),
          .rows = kRows,
          .columns = kColumns,
          .x_stride = kColumns,
          .out_stride = kColumns + kGap,
          .bias = bias.data(),
          .gelu = true,
          .residual = expected.data(),
          .residual_stride = kColumns + kGap},
         1);
  EXPECT_EQ(out, expected);
}

TEST_F(KernelsFew, AProductMayBeWrittenOverItsRows) {
  const Shape s = {8, 60, 60};
  const auto a = numbers(static_cast<std::size_t>(s.rows * s.depth));
  const auto b = numbers(static_cast<std::size_t>(s.columns * s.depth));
  std::vector<float> over = a;
  std::vector<float> unused;
  auto work = dense(s, over, b, unused);
  work.out = over.data();
  multiply_few(work, scratch_, 2);
  EXPECT_EQ(over, product(s, a, b));
}

// Sequences of a decode step: each has its own keys, of which a query sees those up to its own.
struct Sequence {
  Sequence(const Head& head, int open_keys) : h(head), open(open_keys) {}
  Head h;
  int open;  // of the first query; each later one sees one more
  std::vector<float> q, k, v, mask, out;
  std::vector<F16> k16, v16, mask16;

  Attention work() {
    out.assign(static_cast<std::size_t>(h.queries * h.heads * h.width), -7);
    Attention all = work_of(h, q, k16.data(), v16.data(), out);
    all.mask = mask16.data();
    all.mask_stride = static_cast<std::size_t>(h.keys);
    return all;
  }
};

class AttentionOfFew : public Kernels {
 protected:
  Sequence sequence(const Head& h, int open) {
    Sequence s(h, open);
    s.q = numbers(static_cast<std::size_t>(h.queries * h.heads * h.width));
    s.k = eighths(numbers(static_cast<std::size_t>(h.keys * h.kv_heads * h.width)));
    s.v = eighths(numbers(s.k.size()));
    for (int m = 0; m < h.queries; ++m) {
      for (int n = 0; n < h.keys; ++n) {
        // A hole where a rejected draft was, and all that lies behind.
        const bool closed = n >= open + m || n == open / 2;
        s.mask.push_back(closed ? -std::numeric_limits<float>::infinity() : 0);
        s.mask16.push_back(static_cast<F16>(closed ? 0xfc00 : 0));
      }
    }
    s.k16 = to_f16(s.k);
    s.v16 = to_f16(s.v);
    return s;
  }
};

TEST_F(AttentionOfFew, IsRightForSeveralSequencesOfEverySize) {
  std::vector<Sequence> all;
  for (const Head& h : {Head{1, 40, 64, 4, 2}, Head{1, 256, 128, 2, 1}, Head{3, 77, 48, 3, 3}, Head{5, 33, 80, 4, 1},
                        Head{1, 19, 16, 1, 1}, Head{2, 18, 112, 2, 2}, Head{12, 65, 64, 4, 2}}) {
    all.push_back(sequence(h, h.keys - h.queries + 1));
    all.push_back(sequence(h, 3));
  }
  std::vector<Attention> works;
  for (Sequence& s : all) works.push_back(s.work());
  attend_few(works, scratch_, 2);
  for (const Sequence& s : all) {
    const auto expected = attention(s.h, s.q, s.k, s.v, s.mask, 0.3F);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(s.out[i], expected[i], 2e-5) << s.h.queries << " queries, width " << s.h.width << ", at " << i;
    }
  }
}

TEST_F(AttentionOfFew, OfAQueryIsTheSameBitForBitInAnyCompanyWithAnyThreadsAndHoweverManyClosedKeysFollow) {
  const Head h = {7, 90, 64, 4, 2};
  Sequence s = sequence(h, 60);
  Sequence other = sequence({2, 150, 64, 4, 2}, 100);
  const std::vector<Attention> both = {other.work(), s.work()};
  attend_few(both, scratch_, 3);
  const auto together = s.out;
  for (int m = 0; m < h.queries; ++m) {
    Attention alone = s.work();
    alone.queries = 1;
    alone.q += static_cast<std::size_t>(m) * alone.q_stride;
    alone.mask += static_cast<std::size_t>(m) * alone.mask_stride;
    alone.keys = 60 + m;
    attend_few({&alone, 1}, scratch_, 1);
    const auto size = static_cast<std::ptrdiff_t>(h.heads) * h.width;
    EXPECT_EQ(std::vector<float>(s.out.begin(), s.out.begin() + size),
              std::vector<float>(together.begin() + m * size, together.begin() + (m + 1) * size))
        << m;
  }
}

TEST_F(Kernels, FloatsAreRoundedToTheNearestHalf) {
  // What follows the largest number that halves have, a tie that goes down and one that goes up, and the smallest.
  const std::vector<float> x = {1,
                                -2.5F,
                                65504,
                                65520,
                                1 + 0x1p-11F,
                                1 + 0x3p-11F,
                                0x1p-24F,
                                0x1p-26F,
                                -0x1p-25F * 1.5F,
                                std::numeric_limits<float>::infinity()};
  const std::vector<int> expected = {0x3c00, 0xc100, 0x7bff, 0x7c00, 0x3c00, 0x3c02, 0x0001, 0x0000, 0x8001, 0x7c00};
  for (std::size_t copies = 1; copies <= 4; ++copies) {
    std::vector<float> all;
    for (std::size_t i = 0; i < copies; ++i) all.insert(all.end(), x.begin(), x.end());
    std::vector<F16> out(all.size() + 1, F16{7});
    round_to_f16(all.data(), out.data(), all.size());
    for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(static_cast<int>(out[i]), expected[i % x.size()]) << all[i];
    EXPECT_EQ(out.back(), F16{7});
  }
}

}  // namespace
}  // namespace escribano::engine::kernels
