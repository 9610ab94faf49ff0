// What the tests of engine/kernels share: numbers, shapes, and what should come out.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/kernels/kernels.h"

namespace escribano::engine::kernels {

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

inline float rounded_to_bf16(float x) {
  auto bits = std::bit_cast<std::uint32_t>(x);
  bits += 0x7fffU + ((bits >> 16U) & 1U);
  return std::bit_cast<float>(bits & 0xffff0000U);
}
inline Bf16 to_bf16(float x) { return static_cast<Bf16>(std::bit_cast<std::uint32_t>(rounded_to_bf16(x)) >> 16U); }

// Of numbers that half precision holds exactly: eighths below 256.
inline F16 to_f16(float eighths) {
  if (eighths == 0) return F16{0};
  const auto bits = std::bit_cast<std::uint32_t>(eighths);
  const std::uint32_t exponent = ((bits >> 23U) & 0xffU) - 127U + 15U;
  return static_cast<F16>(((bits >> 16U) & 0x8000U) | (exponent << 10U) | ((bits >> 13U) & 0x3ffU));
}
inline std::vector<float> eighths(std::vector<float> all) {
  for (float& x : all) x = std::round(x * 8) / 8;
  return all;
}
inline std::vector<F16> to_f16(const std::vector<float>& all) {
  std::vector<F16> out(all.size());
  std::transform(all.begin(), all.end(), out.begin(), [](float x) { return to_f16(x); });
  return out;
}
inline std::vector<Bf16> to_bf16(const std::vector<float>& all) {
  std::vector<Bf16> out(all.size());
  std::transform(all.begin(), all.end(), out.begin(), [](float x) { return to_bf16(x); });
  return out;
}

struct Shape {
  int rows, columns, depth;
};
inline std::string name(const Shape& s) {
  return std::to_string(s.rows) + "x" + std::to_string(s.columns) + "x" + std::to_string(s.depth);
}

// Every remainder of rows (14 a tile), columns (32 a panel, 16 a register) and depth (16 words at a time).
inline std::vector<Shape> shapes() {
  std::vector<Shape> all = {{1, 1, 2}, {130, 96, 192}, {57, 200, 64}};
  for (int i = 1; i <= 33; ++i) all.push_back({i, 1 + (i * 7) % 70, 2 + 2 * ((i * 5) % 40)});
  return all;
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

struct Head {
  int queries, keys, width, heads, kv_heads;
};

// What attend() should give, in double precision: [query][head][width].
inline std::vector<double> attention(const Head& h, const std::vector<float>& q, const std::vector<float>& k,
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

inline Attention work_of(const Head& h, const std::vector<float>& q, const void* k, const void* v,
                         std::vector<float>& out) {
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

}  // namespace escribano::engine::kernels
