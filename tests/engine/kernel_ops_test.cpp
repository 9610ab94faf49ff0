#include "engine/llama/kernel_ops.h"

#include <cstddef>
#include <memory>

#include <ggml.h>
#include <gtest/gtest.h>

namespace escribano::engine {
namespace {

TEST(KernelOps, AreTakenOfTheFewRowsOfADecodeStepOnlyAsSuchAndNoQuantisedWeights) {
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
