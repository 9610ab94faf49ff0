// Rotary positions of a vision tower and of a language model.
#pragma once

#include "engine/llama/kernel_ops.h"

struct ggml_tensor;

namespace escribano::engine {

// Whether heads are turned by `op` in a way that the kernels know. Pure.
bool takes_rotation(const ggml_tensor* op);
void rotate(const ggml_tensor* op, KernelContext& context);

}  // namespace escribano::engine
