// What the kernel device makes of single nodes and of small graphs, against ggml's own CPU backend.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>
#include <gtest/gtest.h>

#include "engine/llama/kernel_device.h"
#include "engine/llama/kernel_ops.h"

namespace escribano::engine {
namespace {

constexpr int kThreads = 2;

using Build = std::function<ggml_tensor*(ggml_context*)>;

// Of a graph's output, as numbers.
std::vector<float> numbers(const ggml_tensor* t) {
  std::vector<float> all(static_cast<std::size_t>(ggml_nelements(t)));
  if (t->type == GGML_TYPE_F16) {
    ggml_fp16_to_fp32_row(static_cast<const ggml_fp16_t*>(t->data), all.data(), ggml_nelements(t));
  } else {
    std::memcpy(all.data(), t->data, all.size() * sizeof(float));
  }
  return all;
}

// Of random numbers, the same in every graph.
ggml_tensor* input(ggml_context* context, std::int64_t ne0, std::int64_t ne1 = 1, std::int64_t ne2 = 1,
                   std::int64_t ne3 = 1) {
  ggml_tensor* t = ggml_new_tensor_4d(context, GGML_TYPE_F32, ne0, ne1, ne2, ne3);
  std::mt19937 random(static_cast<unsigned>(ne0 + 31 * ne1 + 977 * ne2));
  std::normal_distribution<float> normal;
  std::generate_n(static_cast<float*>(t->data), ggml_nelements(t), [&] { return normal(random); });
  return t;
}

class KernelOps : public ::testing::Test {
 protected:
  void SetUp() override {
    device_ = kernel_device(kThreads);
    if (device_ == nullptr) GTEST_SKIP() << "there are no kernels for this processor";
    backend_.reset(ggml_backend_dev_init(device_, nullptr));
  }

  std::vector<float> compute(const Build& build, bool kernels) {
    const std::unique_ptr<ggml_context, decltype(&ggml_free)> context(
        ggml_init({.mem_size = std::size_t{64} << 20U, .mem_buffer = nullptr, .no_alloc = false}), ggml_free);
    ggml_tensor* out = build(context.get());
    ggml_cgraph* graph = ggml_new_graph(context.get());
    ggml_build_forward_expand(graph, out);
    if (!kernels) {
      EXPECT_EQ(ggml_graph_compute_with_ctx(context.get(), graph, kThreads), GGML_STATUS_SUCCESS);
      return numbers(out);
    }
    const KernelScope scope(true);
    for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
      const ggml_tensor* node = ggml_graph_node(graph, i);
      EXPECT_TRUE(ggml_backend_dev_supports_op(device_, node)) << ggml_op_desc(node);
    }
    EXPECT_EQ(ggml_backend_graph_compute(backend_.get(), graph), GGML_STATUS_SUCCESS);
    return numbers(out);
  }

  void expect_the_same(const Build& build) { EXPECT_EQ(compute(build, true), compute(build, false)); }

  void expect_nearly_the_same(const Build& build, float within) {
    const std::vector<float> ours = compute(build, true);
    const std::vector<float> theirs = compute(build, false);
    ASSERT_EQ(ours.size(), theirs.size());
    float largest = 0;
    float difference = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      ASSERT_TRUE(std::isfinite(ours[i])) << i;
      largest = std::max(largest, std::abs(theirs[i]));
      difference = std::max(difference, std::abs(ours[i] - theirs[i]));
    }
    EXPECT_GT(largest, 0.1F);
    EXPECT_LT(difference / largest, within);
  }

  struct Free {
    void operator()(ggml_backend_t backend) const { ggml_backend_free(backend); }
  };
  ggml_backend_dev_t device_ = nullptr;
  std::unique_ptr<ggml_backend, Free> backend_;
};

TEST_F(KernelOps, CopiesAreThoseOfGgmlInEveryArrangement) {
  const int orders[][4] = {{0, 1, 2, 3}, {0, 2, 1, 3}, {1, 0, 2, 3}, {1, 2, 0, 3}, {2, 0, 1, 3}, {0, 3, 2, 1}};
  for (const auto& o : orders) {
    const auto arranged = [&](ggml_context* c) {
      return ggml_permute(c, input(c, 19, 33, 5, 3), o[0], o[1], o[2], o[3]);
    };
    if (o[0] == 2) {  // neither rows nor columns are contiguous
      const std::unique_ptr<ggml_context, decltype(&ggml_free)> context(ggml_init({.mem_size = std::size_t{1} << 20U}),
                                                                        ggml_free);
      const KernelScope scope(true);
      EXPECT_FALSE(ggml_backend_dev_supports_op(device_, ggml_cont(context.get(), arranged(context.get()))));
      continue;
    }
    SCOPED_TRACE(std::to_string(o[0]) + std::to_string(o[1]) + std::to_string(o[2]) + std::to_string(o[3]));
    expect_the_same([&](ggml_context* c) { return ggml_cont(c, arranged(c)); });
    expect_the_same([&](ggml_context* c) {
      ggml_tensor* x = arranged(c);
      return ggml_cont_2d(c, x, x->ne[0] * x->ne[1], x->ne[2] * x->ne[3]);
    });
    if (o[0] == 0) expect_the_same([&](ggml_context* c) { return ggml_cast(c, arranged(c), GGML_TYPE_F16); });
  }
}

TEST_F(KernelOps, RowsAreConcatenatedAndMatricesAddedAsByGgml) {
  expect_the_same([](ggml_context* c) { return ggml_concat(c, input(c, 19, 33), input(c, 70, 33), 0); });
  expect_the_same([](ggml_context* c) { return ggml_add(c, input(c, 19, 33), input(c, 19, 33)); });
  expect_the_same([](ggml_context* c) { return ggml_add(c, input(c, 19, 33, 3), input(c, 19, 33, 3)); });
  expect_the_same([](ggml_context* c) { return ggml_add(c, input(c, 19, 33, 3), input(c, 19)); });
}

constexpr std::int64_t kPatch = 16;
constexpr std::int64_t kColumns = 10;
constexpr std::int64_t kRows = 6;
constexpr std::int64_t kWidth = 48;

ggml_tensor* convolved(ggml_context* c, ggml_tensor* weights, ggml_tensor* picture) {
  return ggml_conv_2d(c, weights, picture, kPatch, kPatch, 0, 0, 1, 1);
}

// Blocks of two by two patches, one behind the other.
ggml_tensor* in_blocks(ggml_context* c, ggml_tensor* x) {
  x = ggml_cont_4d(c, x, kWidth * 2, kColumns / 2, kRows, 1);
  x = ggml_reshape_4d(c, x, kWidth * 2, kColumns / 2, 2, kRows / 2);
  return ggml_cont_3d(c, ggml_permute(c, x, 0, 2, 1, 3), kWidth, kColumns * kRows, 1);
}

TEST_F(KernelOps, PatchesAreEmbeddedAsByGgml) {
  const auto picture = [](ggml_context* c) { return input(c, kPatch * kColumns, kPatch * kRows, 3); };
  const auto weights = [](ggml_context* c, float factor) {
    ggml_tensor* w = input(c, kPatch, kPatch, 3, kWidth);
    auto* const data = static_cast<float*>(w->data);
    std::transform(data, data + ggml_nelements(w), data, [&](float x) { return factor * x; });
    return w;
  };
  expect_nearly_the_same([&](ggml_context* c) { return convolved(c, weights(c, 1), picture(c)); }, 2e-3F);
  const auto sum = [&](ggml_context* c, ggml_tensor* first, ggml_tensor* second) {
    return ggml_add(c, convolved(c, weights(c, 1), first), convolved(c, weights(c, 0.5F), second));
  };
  const auto of_one = [&](ggml_context* c) {
    ggml_tensor* still = picture(c);
    return sum(c, still, still);
  };
  expect_nearly_the_same(of_one, 2e-3F);
  expect_nearly_the_same([&](ggml_context* c) { return sum(c, picture(c), ggml_cont(c, picture(c))); }, 2e-3F);
  expect_nearly_the_same(
      [&](ggml_context* c) {
        ggml_tensor* still = picture(c);
        ggml_tensor* first = convolved(c, weights(c, 1), still);
        ggml_tensor* both = ggml_add(c, first, convolved(c, weights(c, 0.5F), still));
        return ggml_add(c, both, ggml_cont(c, first));  // someone else wants the first
      },
      2e-3F);
  expect_nearly_the_same(
      [&](ggml_context* c) {
        ggml_tensor* x = in_blocks(c, ggml_permute(c, of_one(c), 1, 2, 0, 3));
        return ggml_add(c, ggml_add(c, x, input(c, kWidth)), input(c, kWidth, kColumns * kRows));
      },
      2e-3F);
}

TEST_F(KernelOps, ATableOfPositionsIsStretchedAsByGgml) {
  const auto stretched = [](ggml_context* c, std::int64_t side, std::int64_t columns, std::int64_t rows) {
    ggml_tensor* table =
        ggml_permute(c, ggml_reshape_3d(c, input(c, kWidth, side * side), kWidth, side, side), 2, 0, 1, 3);
    return ggml_interpolate(c, table, columns, rows, kWidth, 1,
                            static_cast<std::uint32_t>(GGML_SCALE_MODE_BILINEAR) | GGML_SCALE_FLAG_ALIGN_CORNERS);
  };
  for (const std::int64_t side : {1, 4, 13}) {
    for (const std::int64_t columns : {1, 2, 10, 25}) {
      SCOPED_TRACE(std::to_string(side) + " to " + std::to_string(columns));
      expect_nearly_the_same([&](ggml_context* c) { return stretched(c, side, columns, kRows); }, 1e-6F);
      expect_nearly_the_same(
          [&](ggml_context* c) {
            ggml_tensor* x = ggml_permute(c, stretched(c, side, columns, kRows), 1, 2, 0, 3);
            return ggml_cont_2d(c, x, kWidth, columns * kRows);
          },
          1e-6F);
    }
  }
}

// As a vision tower writes it out: Q, K and V beside each other, V transposed, heads joined.
ggml_tensor* written_attention(ggml_context* c, bool with_values) {
  constexpr std::int64_t kHead = 32;
  constexpr std::int64_t kHeads = 3;
  constexpr std::int64_t kTokens = 45;
  ggml_tensor* all = input(c, 3 * kHead * kHeads, kTokens);
  const auto part = [&](std::size_t i) {
    return ggml_view_3d(c, all, kHead, kHeads, kTokens, kHead * sizeof(float), all->nb[1],
                        i * kHead * kHeads * sizeof(float));
  };
  ggml_tensor* values = ggml_cont(c, ggml_permute(c, part(2), 1, 2, 0, 3));
  ggml_tensor* scores = ggml_mul_mat(c, ggml_permute(c, part(1), 0, 2, 1, 3), ggml_permute(c, part(0), 0, 2, 1, 3));
  ggml_tensor* out = ggml_mul_mat(c, values, ggml_soft_max_ext(c, scores, nullptr, 0.2F, 0));
  ggml_tensor* joined = ggml_cont_2d(c, ggml_permute(c, out, 0, 2, 1, 3), kHead * kHeads, kTokens);
  if (!with_values) return joined;
  return ggml_concat(c, joined, ggml_cont(c, ggml_reshape_2d(c, values, kHead * kHeads, kTokens)), 0);
}

TEST_F(KernelOps, AttentionIsTheSameBitForBitWithTheCopiesAroundItAndWithout) {
  expect_nearly_the_same([](ggml_context* c) { return written_attention(c, false); }, 1e-5F);
  expect_nearly_the_same([](ggml_context* c) { return written_attention(c, true); }, 1e-5F);
  const std::vector<float> alone = compute([](ggml_context* c) { return written_attention(c, false); }, true);
  const std::vector<float> both = compute([](ggml_context* c) { return written_attention(c, true); }, true);
  constexpr std::size_t kColumnsOfOne = 96;
  ASSERT_EQ(both.size(), 2 * alone.size());
  for (std::size_t i = 0; i < alone.size(); ++i) {
    ASSERT_EQ(alone[i], both[i / kColumnsOfOne * 2 * kColumnsOfOne + i % kColumnsOfOne]) << i;
  }
}

TEST_F(KernelOps, AreTakenOfTheFewRowsOfADecodeStepOnlyAsSuchAndNoQuantisedWeights) {
  const std::unique_ptr<ggml_context, void (*)(ggml_context*)> context(
      ggml_init({.mem_size = std::size_t{1} << 20U, .mem_buffer = nullptr, .no_alloc = true}), ggml_free);
  const auto product = [&](ggml_type type, int rows) {
    return ggml_mul_mat(context.get(), ggml_new_tensor_2d(context.get(), type, 256, 64),
                        ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, 256, rows));
  };
  for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_F32}) {
    EXPECT_TRUE(kernels_take(product(type, 2), true));
    EXPECT_FALSE(kernels_take(product(type, 2), false));
    EXPECT_TRUE(kernels_take(product(type, 20), false));
  }
  EXPECT_FALSE(kernels_take(product(GGML_TYPE_Q8_0, 2), true));
  EXPECT_FALSE(kernels_take(product(GGML_TYPE_Q8_0, 20), false));
  const auto attention = [&](int queries, int sequences) {
    return ggml_flash_attn_ext(
        context.get(), ggml_new_tensor_4d(context.get(), GGML_TYPE_F32, 64, queries, 4, sequences),
        ggml_new_tensor_4d(context.get(), GGML_TYPE_F16, 64, 256, 2, sequences),
        ggml_new_tensor_4d(context.get(), GGML_TYPE_F16, 64, 256, 2, sequences),
        ggml_new_tensor_4d(context.get(), GGML_TYPE_F16, 256, queries, 1, sequences), 0.1F, 0, 0);
  };
  EXPECT_TRUE(kernels_take(attention(1, 4), true));
  EXPECT_FALSE(kernels_take(attention(1, 4), false));
  EXPECT_FALSE(kernels_take(attention(20, 4), false)) << "of several sequences only in a decode step";
  EXPECT_TRUE(kernels_take(attention(20, 1), false));
}

}  // namespace
}  // namespace escribano::engine
