#pragma once

#include <cstdint>

#include "engine/kernels/kernels.h"

struct ggml_tensor;

namespace escribano::engine {

struct KernelContext;

// Whether the kernels can compute `op`, a copy (CONT, CPY) that gathers, transposes or rounds to half precision. Pure.
bool kernels_take_copy(const ggml_tensor* op);
void compute_copy(const ggml_tensor* op, const KernelContext& context);

// The same for rows of two matrices put beside each other (CONCAT).
bool takes_concatenation(const ggml_tensor* op);
void concatenate(const ggml_tensor* op, const KernelContext& context);

// How many of a tensor's rows are computed: all, or those of the patches that were chosen.
std::int64_t computed_rows(std::int64_t rows, const KernelContext& context);

// Keeps keys and values of a layer of the vision tower. Where only some patches are computed, these are the queries, and
// the keys and values of the others are those that were kept before. False if none were. Throws std::bad_alloc.
bool attend_to_kept(const ggml_tensor* k, const ggml_tensor* v, const KernelContext& context,
                    kernels::Attention& attention);

}  // namespace escribano::engine
