// What a language model's graph does with the cache of keys and values, and with rows one by one.
#pragma once

#include "engine/llama/kernel_ops.h"

struct ggml_tensor;

namespace escribano::engine {

// Whether `op` is attention of one or several sequences, each of few queries, to the f16 cache. Pure.
bool cache_takes_attention(const ggml_tensor* op);
void cache_attend(const ggml_tensor* op, KernelContext& context);

// Whether `op` puts rows of floats into the f16 cache. Pure.
bool cache_takes_stored_rows(const ggml_tensor* op);
void cache_store_rows(const ggml_tensor* op);

// Whether `op` copies some rows of floats (those whose logits are wanted). Pure.
bool cache_takes_chosen_rows(const ggml_tensor* op);
void cache_choose_rows(const ggml_tensor* op);

}  // namespace escribano::engine
