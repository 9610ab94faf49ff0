#include "engine/llama/cache_ops.h"

#include <cstring>
#include <vector>

#include <ggml.h>

#include "engine/kernels/kernels.h"
#include "engine/llama/graph_nodes.h"

namespace escribano::engine {
namespace {

std::size_t stride(const ggml_tensor* t, int dimension) { return t->nb[dimension] / ggml_element_size(t); }

// Of all sequences.
bool has_dense_rows(const ggml_tensor* t) { return rows_are_contiguous(t) && t->nb[3] % ggml_type_size(t->type) == 0; }

template <class T>
T* plus(T* data, std::int64_t i, std::size_t step) {
  return data + static_cast<std::size_t>(i) * step;
}

}  // namespace

// Q is [width, queries, heads, sequences], K and V are [width, keys, heads, sequences], the mask is [keys, queries, 1,
// sequences], the output [width, heads, queries, sequences]. Parameters: scale, max_bias, logit softcap. No sinks.
bool cache_takes_attention(const ggml_tensor* op) {
  const ggml_tensor* q = op->src[0];
  const ggml_tensor* k = op->src[1];
  const ggml_tensor* v = op->src[2];
  const ggml_tensor* mask = op->src[3];
  const bool types = q->type == GGML_TYPE_F32 && k->type == GGML_TYPE_F16 && v->type == GGML_TYPE_F16;
  const bool layout = has_dense_rows(q) && has_dense_rows(k) && has_dense_rows(v) && ggml_is_contiguous(op);
  const bool sizes = q->ne[0] % 16 == 0 && k->ne[0] == q->ne[0] && v->ne[0] == q->ne[0] && q->ne[2] % k->ne[2] == 0 &&
                     v->ne[2] == k->ne[2] && k->ne[3] == q->ne[3] && v->ne[3] == q->ne[3] && is_small(q->ne[1]) &&
                     is_small(k->ne[1]);
  const bool masked = mask != nullptr && mask->type == GGML_TYPE_F16 && has_dense_rows(mask) && mask->ne[2] == 1 &&
                      mask->ne[3] == q->ne[3] && mask->ne[1] >= q->ne[1];
  return types && layout && sizes && masked && op->src[4] == nullptr && float_param(op, 1) == 0 &&
         float_param(op, 2) == 0;
}

void cache_attend(const ggml_tensor* op, KernelContext& context) {
  const ggml_tensor* q = op->src[0];
  const ggml_tensor* k = op->src[1];
  const ggml_tensor* v = op->src[2];
  const ggml_tensor* mask = op->src[3];
  std::vector<kernels::Attention> sequences;
  for (std::int64_t i = 0; i < q->ne[3]; ++i) {
    sequences.push_back({
        .q = plus(static_cast<const float*>(q->data), i, stride(q, 3)),
        .k = plus(static_cast<const kernels::F16*>(k->data), i, stride(k, 3)),
        .v = plus(static_cast<const kernels::F16*>(v->data), i, stride(v, 3)),
        .mask = plus(static_cast<const kernels::F16*>(mask->data), i, stride(mask, 3)),
        .out = plus(static_cast<float*>(op->data), i, stride(op, 3)),
        .heads = static_cast<int>(q->ne[2]),
        .kv_heads = static_cast<int>(k->ne[2]),
        .queries = static_cast<int>(q->ne[1]),
        .keys = static_cast<int>(k->ne[1]),
        .width = static_cast<int>(q->ne[0]),
        .scale = float_param(op, 0),
        .q_stride = stride(q, 1),
        .k_stride = stride(k, 1),
        .v_stride = stride(v, 1),
        .mask_stride = stride(mask, 1),
        .out_stride = stride(op, 2),
        .q_step = stride(q, 2),
        .k_step = stride(k, 2),
        .v_step = stride(v, 2),
        .out_step = stride(op, 1),
    });
  }
  kernels::attend_few(sequences, context.scratch, context.threads);
}

bool cache_takes_stored_rows(const ggml_tensor* op) {
  const ggml_tensor* x = op->src[0];
  const ggml_tensor* places = op->src[1];
  return op->type == GGML_TYPE_F16 && x->type == GGML_TYPE_F32 && places->type == GGML_TYPE_I64 &&
         ggml_is_contiguous(places) && x->nb[0] == sizeof(float) && op->nb[0] == sizeof(ggml_fp16_t) && x->ne[2] == 1 &&
         x->ne[3] == 1 && op->ne[2] == 1 && op->ne[3] == 1;
}

void cache_store_rows(const ggml_tensor* op) {
  const ggml_tensor* x = op->src[0];
  const auto* places = static_cast<const std::int64_t*>(op->src[1]->data);
  for (std::int64_t i = 0; i < x->ne[1]; ++i) {
    const char* const from = plus(static_cast<const char*>(x->data), i, x->nb[1]);
    char* const to = plus(static_cast<char*>(op->data), places[i], op->nb[1]);
    kernels::round_to_f16(reinterpret_cast<const float*>(from), reinterpret_cast<kernels::F16*>(to),
                          static_cast<std::size_t>(x->ne[0]));
  }
}

bool cache_takes_chosen_rows(const ggml_tensor* op) {
  const ggml_tensor* x = op->src[0];
  const ggml_tensor* rows = op->src[1];
  return x->type == GGML_TYPE_F32 && op->type == GGML_TYPE_F32 && rows->type == GGML_TYPE_I32 &&
         ggml_is_contiguous(x) && ggml_is_contiguous(op) && ggml_is_contiguous(rows) && ggml_nrows(op) == op->ne[1] &&
         ggml_nrows(x) == x->ne[1];
}

void cache_choose_rows(const ggml_tensor* op) {
  const auto* rows = static_cast<const std::int32_t*>(op->src[1]->data);
  for (std::int64_t i = 0; i < op->ne[1]; ++i) {
    std::memcpy(plus(static_cast<char*>(op->data), i, op->nb[1]),
                plus(static_cast<const char*>(op->src[0]->data), rows[i], op->src[0]->nb[1]), op->nb[1]);
  }
}

}  // namespace escribano::engine
