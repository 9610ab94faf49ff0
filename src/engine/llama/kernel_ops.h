#pragma once

#include <cstdint>
#include <vector>

#include "engine/kernels/kernels.h"
#include "engine/llama/kernel_device.h"
#include "engine/llama/patch_work.h"

struct ggml_cgraph;
struct ggml_tensor;

namespace escribano::engine {

// The angles of rotary positions, by token and pair. All layers ask for the same, and frames of one size do.
struct RotaryAngles {
  std::vector<std::int32_t> key;  // parameters and positions that these belong to
  std::vector<float> cosines;
  std::vector<float> sines;
};

// What one backend of the kernel device keeps between graphs.
struct KernelContext {
  kernels::Scratch scratch;
  RotaryAngles angles;
  RotaryAngles chosen_angles;         // of the patches of `patches`, if that is compact
  std::vector<float> summed_weights;  // of the patch embedding
  int threads = 1;
  KernelUse use;  // of the graph that is computed now

  // For work of so many numbers: what is done sooner than another thread is woken is done alone.
  int threads_for(std::int64_t numbers) const {
    constexpr std::int64_t kWorthwhile = 16384;
    return numbers < kWorthwhile ? 1 : threads;
  }
};

// Whether engine/kernels can compute `op` as it is: its type, shape, strides and parameters. Pure.
bool kernels_take(const ggml_tensor* op, bool few_rows);

// Computes the nodes of a graph in order, several in one go where one is made for the next: a product with its bias, GELU
// and residual, a normalisation with its weight and bias, attention that is written out as product, softmax and product.
// False if a node is none that the kernels
// take, or is the attention of patches whose keys and values were not kept. Throws std::bad_alloc.
bool kernels_compute(const ggml_cgraph* graph, KernelContext& context);

// A product with weights of the model, in the precision of `context`.
void multiply_weights(const kernels::Products<kernels::F16>& work, KernelContext& context);

}  // namespace escribano::engine
