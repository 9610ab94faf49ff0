#include "engine/llama/kernel_ops.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <ggml-backend.h>
#include <ggml-impl.h>
#include <ggml.h>

#include "engine/kernels/kernels.h"
#include "engine/llama/cache_ops.h"
#include "engine/llama/copy_ops.h"
#include "engine/llama/embed_ops.h"
#include "engine/llama/graph_nodes.h"
#include "engine/llama/rotary_ops.h"
#include "engine/llama/written_attention.h"

namespace escribano::engine {
namespace {

using kernels::Bf16;
using kernels::F16;

// ggml: dst[m][n] = sum over k of src1[m][k] * src0[n][k]; the innermost dimension is ne[0].
bool takes_product(const ggml_tensor* op) {
  const ggml_tensor* b = op->src[0];
  const ggml_tensor* a = op->src[1];
  if (a->type != GGML_TYPE_F32 || op->type != GGML_TYPE_F32 || !rows_are_contiguous(a) || !rows_are_contiguous(b) ||
      !rows_are_contiguous(op) || a->ne[3] != 1 || b->ne[3] != 1 || !is_small(a->ne[1]) || !is_small(b->ne[1])) {
    return false;
  }
  if (op->op_params[1] == GGML_HINT_SRC0_IS_HADAMARD) return false;
  const bool one = b->ne[2] == 1 && a->ne[2] == 1;
  if (b->type == GGML_TYPE_BF16) return one && b->ne[0] % 2 == 0 && row_stride(b) % 2 == 0;
  if (b->type == GGML_TYPE_F16) return one;
  return b->type == GGML_TYPE_F32 && b->ne[2] == a->ne[2];
}

// A row of floats for all rows, or a matrix of the same shape.
bool is_bias(const ggml_tensor* t, const ggml_tensor* x) {
  return t->type == GGML_TYPE_F32 && ggml_is_contiguous(t) && t->ne[0] == x->ne[0] && ggml_nrows(t) == 1;
}
bool is_matrix(const ggml_tensor* t) {
  return t->type == GGML_TYPE_F32 && rows_are_contiguous(t) && t->ne[2] == 1 && t->ne[3] == 1 && is_small(t->ne[1]);
}

// What follows a product of weights: the addition of a bias, GELU, the addition of a matrix. `x` is the product with
// what was already done to it. Adds `op` to `work` if it is the next.
bool follows(const ggml_tensor* x, const ggml_tensor* op, kernels::Finish& work) {
  if (!is_matrix(x) || !is_matrix(op)) return false;
  if (op->op == GGML_OP_UNARY) {
    if (ggml_get_unary_op(op) != GGML_UNARY_OP_GELU || op->src[0] != x || work.gelu || work.residual != nullptr) {
      return false;
    }
    work.gelu = true;
    return true;
  }
  if (op->op != GGML_OP_ADD || work.residual != nullptr) return false;
  const ggml_tensor* other = op->src[0] == x ? op->src[1] : op->src[0];
  if (op->src[0] != x && op->src[1] != x) return false;
  if (is_bias(other, x) && op->src[0] == x && work.bias == nullptr && !work.gelu && x->ne[1] > 1) {
    work.bias = static_cast<const float*>(other->data);
    return true;
  }
  if (!is_matrix(other) || !ggml_are_same_shape(other, x)) return false;
  work.residual = static_cast<const float*>(other->data);
  work.residual_stride = row_stride(other);
  return true;
}

bool is_dense(const ggml_tensor* t) { return t->type == GGML_TYPE_F32 && ggml_is_contiguous(t) && is_small(t->ne[0]); }

// Parameter: epsilon.
bool takes_normalization(const ggml_tensor* op) {
  return (op->op == GGML_OP_NORM || op->op == GGML_OP_RMS_NORM) && is_dense(op->src[0]) && is_dense(op) &&
         is_small(ggml_nrows(op));
}
// Its weight, by itself or together with it.
bool takes_scaling(const ggml_tensor* op) {
  return op->op == GGML_OP_MUL && takes_normalization(op->src[0]) && is_bias(op->src[1], op->src[0]) && is_dense(op);
}
bool takes_shift(const ggml_tensor* op) {
  return op->op == GGML_OP_ADD && takes_scaling(op->src[0]) && is_bias(op->src[1], op->src[0]) && is_dense(op);
}

// Whether `out` lies over `x` but not in its place: by the time of `out`, the memory of `x` may be used anew.
bool is_shifted_over(const ggml_tensor* out, const ggml_tensor* x) {
  const auto* const a = static_cast<const char*>(out->data);
  const auto* const b = static_cast<const char*>(x->data);
  return a != b && a < b + ggml_nbytes(x) && b < a + ggml_nbytes(out);
}

// Node i with its weight and bias, where no one else wants what lies between; returns the last of them.
int normalize(const ggml_cgraph* graph, int i, const KernelContext& context) {
  const ggml_tensor* op = graph->nodes[i];
  kernels::Normalization work = {
      .x = static_cast<const float*>(op->src[0]->data),
      .rows = static_cast<std::size_t>(computed_rows(ggml_nrows(op), context)),
      .columns = static_cast<int>(op->ne[0]),
      .epsilon = float_param(op, 0),
      .centred = op->op == GGML_OP_NORM,
  };
  int last = i;
  const auto next_is = [&](bool (*takes)(const ggml_tensor*)) {
    return last + 1 < graph->n_nodes && ggml_node_has_n_uses(graph, last, 1) &&
           graph->nodes[last + 1]->src[0] == graph->nodes[last] && takes(graph->nodes[last + 1]) &&
           !is_shifted_over(graph->nodes[last + 1], op->src[0]);
  };
  if (next_is(takes_scaling)) {
    ++last;
    work.weight = static_cast<const float*>(graph->nodes[last]->src[1]->data);
    if (next_is(takes_shift)) {
      ++last;
      work.bias = static_cast<const float*>(graph->nodes[last]->src[1]->data);
    }
  }
  work.out = static_cast<float*>(graph->nodes[last]->data);
  kernels::normalize(work, context.threads_for(ggml_nelements(op)));
  return last;
}

// A row or a matrix added to one that no kernel made: those of the patch embedding.
bool takes_addition(const ggml_tensor* op) {
  return is_dense(op->src[0]) && is_dense(op->src[1]) && is_dense(op) && ggml_are_same_shape(op, op->src[0]) &&
         (ggml_are_same_shape(op, op->src[1]) || is_bias(op->src[1], op)) && is_small(ggml_nrows(op));
}

// Such an addition, or weight or bias of a normalisation by itself.
void scale_or_add(const ggml_tensor* op, const KernelContext& context) {
  const auto* other = static_cast<const float*>(op->src[1]->data);
  const bool row = ggml_nrows(op->src[1]) == 1;
  kernels::finish(
      {
          .x = static_cast<const float*>(op->src[0]->data),
          .out = static_cast<float*>(op->data),
          .rows = static_cast<int>(computed_rows(ggml_nrows(op), context)),
          .columns = static_cast<int>(op->ne[0]),
          .x_stride = static_cast<std::size_t>(op->ne[0]),
          .out_stride = static_cast<std::size_t>(op->ne[0]),
          .weight = op->op == GGML_OP_MUL ? other : nullptr,
          .bias = op->op == GGML_OP_ADD && row ? other : nullptr,
          .residual = row ? nullptr : other,
          .residual_stride = static_cast<std::size_t>(op->ne[0]),
      },
      context.threads_for(ggml_nelements(op)));
}

// Parameters: kind, swapped. Gate and value in two tensors.
bool takes_swiglu(const ggml_tensor* op) {
  return ggml_get_glu_op(op) == GGML_GLU_OP_SWIGLU && op->src[1] != nullptr && is_dense(op->src[0]) &&
         is_dense(op->src[1]) && is_dense(op);
}

void swiglu(const ggml_tensor* op, const KernelContext& context) {
  const std::int64_t rows = computed_rows(ggml_nrows(op), context);
  kernels::swiglu(static_cast<const float*>(op->src[0]->data), static_cast<const float*>(op->src[1]->data),
                  static_cast<float*>(op->data), static_cast<std::size_t>(op->ne[0] * rows),
                  context.threads_for(ggml_nelements(op)));
}

// Whether `op` may follow a product that the device takes; it can be computed by itself, too.
bool takes_follower(const ggml_tensor* op) {
  for (const ggml_tensor* x : {op->src[0], op->src[1]}) {
    if (x == nullptr) continue;
    kernels::Finish work;
    const bool after_product = x->op == GGML_OP_MUL_MAT && takes_product(x);
    if ((after_product || ((x->op == GGML_OP_ADD || x->op == GGML_OP_UNARY) && takes_follower(x))) &&
        follows(x, op, work)) {
      return true;
    }
  }
  return false;
}

// All that follows node i and concerns no one else; `last` becomes the node that it ends with.
kernels::Finish followers(const ggml_cgraph* graph, int i, int& last) {
  kernels::Finish work;
  last = i;
  while (last + 1 < graph->n_nodes && ggml_node_has_n_uses(graph, last, 1) &&
         follows(graph->nodes[last], graph->nodes[last + 1], work)) {
    ++last;
  }
  return work;
}

void finish(const ggml_tensor* op, const KernelContext& context) {
  kernels::Finish work;
  const ggml_tensor* x = op->src[0];
  if (!follows(x, op, work)) follows(x = op->src[1], op, work);
  work.x = static_cast<const float*>(x->data);
  work.out = static_cast<float*>(op->data);
  work.rows = static_cast<int>(computed_rows(op->ne[1], context));
  work.columns = static_cast<int>(op->ne[0]);
  work.x_stride = row_stride(x);
  work.out_stride = row_stride(op);
  kernels::finish(work, context.threads_for(ggml_nelements(op)));
}

// Weights of the model, whole or a part, in whatever shape.
bool is_weights(const ggml_tensor* t) {
  const ggml_tensor* whole = t->view_src == nullptr ? t : t->view_src;
  return whole->buffer != nullptr && ggml_backend_buffer_get_usage(whole->buffer) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS;
}

// The product `op` and what follows it, into `out`.
template <class T>
kernels::Products<T> product(const ggml_tensor* op, const ggml_tensor* out, const kernels::Finish& followers,
                             const KernelContext& context) {
  const ggml_tensor* b = op->src[0];
  const ggml_tensor* a = op->src[1];
  return {
      .a = static_cast<const float*>(a->data),
      .b = static_cast<const T*>(b->data),
      .out = static_cast<float*>(out->data),
      .rows = static_cast<int>(computed_rows(a->ne[1], context)),
      .columns = static_cast<int>(b->ne[1]),
      .depth = static_cast<int>(b->ne[0]),
      .a_stride = row_stride(a),
      .b_stride = row_stride(b),
      .out_stride = row_stride(out),
      .count = static_cast<int>(a->ne[2]),
      .a_step = matrix_stride(a),
      .b_step = matrix_stride(b),
      .out_step = matrix_stride(out),
      .bias = followers.bias,
      .gelu = followers.gelu,
      .residual = followers.residual,
      .residual_stride = followers.residual_stride,
  };
}

template <class T>
void multiply(const kernels::Products<T>& work, bool of_weights, KernelContext& context) {
  if (context.use.few_rows) return kernels::multiply_few(work, context.scratch, context.threads);
  if (of_weights && context.use.precision == Precision::int8) {
    return kernels::multiply_int8(work, context.scratch, context.threads);
  }
  if (of_weights && context.use.precision == Precision::bf16 && work.depth % 2 == 0) {
    return kernels::multiply_bf16(work, context.scratch, context.threads);
  }
  kernels::multiply(work, context.scratch, context.threads);
}

// Node i and its followers; returns the last of them.
int multiply(const ggml_cgraph* graph, int i, KernelContext& context) {
  const ggml_tensor* op = graph->nodes[i];
  int last = i;
  const kernels::Finish work = followers(graph, i, last);
  const ggml_tensor* out = graph->nodes[last];
  const bool of_weights = op->ne[2] == 1 && (is_weights(op->src[0]) || is_weights(op->src[1]));
  switch (op->src[0]->type) {
    case GGML_TYPE_F32: multiply(product<float>(op, out, work, context), of_weights, context); break;
    case GGML_TYPE_F16: multiply(product<F16>(op, out, work, context), of_weights, context); break;
    default: multiply(product<Bf16>(op, out, work, context), of_weights, context); break;
  }
  return last;
}

// Parameters: scale, max_bias. No mask, no sinks.
bool takes_softmax(const ggml_tensor* op) {
  const ggml_tensor* x = op->src[0];
  return x->type == GGML_TYPE_F32 && ggml_is_contiguous(x) && ggml_is_contiguous(op) && op->src[1] == nullptr &&
         op->src[2] == nullptr && float_param(op, 0) > 0 && is_small(x->ne[0]);
}

void softmax(const ggml_tensor* op, const KernelContext& context) {
  const ggml_tensor* x = op->src[0];
  kernels::softmax(static_cast<const float*>(x->data), static_cast<float*>(op->data),
                   static_cast<std::size_t>(ggml_nrows(x)), static_cast<int>(x->ne[0]), float_param(op, 0),
                   context.threads);
}

bool is_plain_mask(const ggml_tensor* mask, const ggml_tensor* q) {
  return mask->type == GGML_TYPE_F16 && rows_are_contiguous(mask) && mask->ne[2] == 1 && mask->ne[3] == 1 &&
         mask->ne[1] >= q->ne[1];
}

// Q is [width, queries, heads], K and V are [width, keys, heads], the output [width, heads, queries]. Parameters: scale,
// max_bias, logit softcap. No sinks, one sequence.
bool takes_attention(const ggml_tensor* op) {
  const ggml_tensor* q = op->src[0];
  const ggml_tensor* k = op->src[1];
  const ggml_tensor* v = op->src[2];
  return q->type == GGML_TYPE_F32 && k->type == GGML_TYPE_F16 && v->type == GGML_TYPE_F16 &&
         (op->src[3] == nullptr || is_plain_mask(op->src[3], q)) && op->src[4] == nullptr && rows_are_contiguous(q) &&
         rows_are_contiguous(k) && rows_are_contiguous(v) && ggml_is_contiguous(op) && q->ne[0] % 16 == 0 &&
         k->ne[0] == q->ne[0] && v->ne[0] == q->ne[0] && q->ne[2] % k->ne[2] == 0 && v->ne[2] == k->ne[2] &&
         q->ne[3] == 1 && k->ne[3] == 1 && is_small(q->ne[1]) && is_small(k->ne[1]) && float_param(op, 1) == 0 &&
         float_param(op, 2) == 0;
}

kernels::Attention attention(const ggml_tensor* q, const ggml_tensor* k, const ggml_tensor* v, float scale) {
  return {
      .q = static_cast<const float*>(q->data),
      .k = k->data,
      .v = v->data,
      .type = k->type == GGML_TYPE_F16 ? kernels::Attention::Type::f16 : kernels::Attention::Type::f32,
      .heads = static_cast<int>(q->ne[2]),
      .kv_heads = static_cast<int>(k->ne[2]),
      .queries = static_cast<int>(q->ne[1]),
      .keys = static_cast<int>(k->ne[1]),
      .width = static_cast<int>(q->ne[0]),
      .scale = scale,
      .q_stride = row_stride(q),
      .k_stride = row_stride(k),
      .v_stride = row_stride(v),
      .q_step = matrix_stride(q),
      .k_step = matrix_stride(k),
      .v_step = matrix_stride(v),
  };
}

// Flash attention, as llama.cpp asks for it: in a language model (with a mask) exact unless fewer bits were asked for, in a
// vision tower, where it is much of the work, in bf16.
bool attend(const ggml_tensor* op, KernelContext& context) {
  kernels::Attention work = attention(op->src[0], op->src[1], op->src[2], float_param(op, 0));
  work.out = static_cast<float*>(op->data);
  work.out_stride = matrix_stride(op);
  work.out_step = row_stride(op);
  work.exact = op->src[3] != nullptr && context.use.precision == Precision::exact;
  if (const ggml_tensor* mask = op->src[3]) {
    work.mask = static_cast<const F16*>(mask->data);
    work.mask_stride = row_stride(mask);
  }
  if (!attend_to_kept(op->src[1], op->src[2], context, work)) return false;
  kernels::attend(work, context.scratch, context.threads);
  return true;
}

// Attention that is written out, with the copies around it that need not be made: `i` are its scores, its values are taken
// from `values`. Becomes the last node that it covers.
bool attend(const ggml_cgraph* graph, int& i, const ggml_tensor* values, KernelContext& context) {
  const ggml_tensor* scores = graph->nodes[i];
  const ggml_tensor* weights = graph->nodes[i + 1];
  const ggml_tensor* out = graph->nodes[i + 2];
  kernels::Attention work = attention(scores->src[1], scores->src[0], values, float_param(weights, 0));
  work.v_transposed = values->nb[0] == sizeof(float);
  if (!work.v_transposed) work.v_stride = values->nb[0] / sizeof(float);
  work.out = static_cast<float*>(out->data);
  work.out_stride = row_stride(out);
  work.out_step = matrix_stride(out);
  work.exact = context.use.precision == Precision::exact;
  if (!attend_to_kept(scores->src[0], values, context, work)) return false;
  i += 2;
  if (const int joined = joined_heads(graph, i); joined > i) {
    work.out = static_cast<float*>(graph->nodes[joined]->data);
    work.out_stride = static_cast<std::size_t>(out->ne[0] * out->ne[2]);
    work.out_step = static_cast<std::size_t>(out->ne[0]);
    i = joined;
  }
  kernels::attend(work, context.scratch, context.threads);
  return true;
}

// Node i and what is done with it in one go; `i` becomes the last of these nodes.
bool compute_product(const ggml_cgraph* graph, int& i, KernelContext& context) {
  if (is_attention(graph, i)) return attend(graph, i, graph->nodes[i + 2]->src[0], context);
  i = multiply(graph, i, context);
  return true;
}

// A copy that may not be needed: attention reads values where they lie. But where they are kept, they are kept as copied.
bool compute_copy_or_attention(const ggml_cgraph* graph, int& i, KernelContext& context) {
  const int at = context.use.patches == nullptr ? attention_of_copy(graph, i) : -1;
  const ggml_tensor* op = graph->nodes[i];
  if (at < 0) {
    compute_copy(op, context);
    return true;
  }
  i = at;
  return attend(graph, i, op->src[0], context);
}

// How many rows there are to compute; unlimited where that is not what the work of `op` depends on.
std::int64_t rows_of(const ggml_tensor* op) {
  switch (op->op) {
    case GGML_OP_MUL_MAT: return std::min(op->src[1]->ne[1], op->src[0]->ne[1]);
    case GGML_OP_FLASH_ATTN_EXT: return op->src[0]->ne[1];
    case GGML_OP_ROPE: return op->ne[2];
    case GGML_OP_NORM:
    case GGML_OP_RMS_NORM:
    case GGML_OP_MUL:
    case GGML_OP_ADD:
    case GGML_OP_UNARY:
    case GGML_OP_GLU:
    case GGML_OP_SET_ROWS:
    case GGML_OP_GET_ROWS: return ggml_nrows(op->op == GGML_OP_SET_ROWS ? op->src[0] : op);
    default: return std::numeric_limits<std::int64_t>::max();
  }
}

}  // namespace

bool kernels_take(const ggml_tensor* op, bool few_rows) {
  if (few_rows) {
    if (op->op == GGML_OP_MUL_MAT && op->src[1]->ne[2] != 1) return false;
    if (op->op == GGML_OP_FLASH_ATTN_EXT) return cache_takes_attention(op);
  } else if (rows_of(op) < kFewestPackedRows) {
    return false;
  }
  switch (op->op) {
    case GGML_OP_NONE:
    case GGML_OP_RESHAPE:
    case GGML_OP_VIEW:
    case GGML_OP_PERMUTE:
    case GGML_OP_TRANSPOSE: return true;
    case GGML_OP_MUL_MAT: return takes_product(op);
    case GGML_OP_NORM:
    case GGML_OP_RMS_NORM: return takes_normalization(op);
    case GGML_OP_MUL: return takes_scaling(op);
    case GGML_OP_ADD: return takes_shift(op) || takes_follower(op) || takes_addition(op);
    case GGML_OP_UNARY: return takes_follower(op);
    case GGML_OP_GLU: return takes_swiglu(op);
    case GGML_OP_ROPE: return takes_rotation(op);
    case GGML_OP_CONT:
    case GGML_OP_CPY: return kernels_take_copy(op);
    case GGML_OP_CONCAT: return takes_concatenation(op);
    case GGML_OP_IM2COL: return takes_patches(op);
    case GGML_OP_UPSCALE: return takes_interpolation(op);
    case GGML_OP_SOFT_MAX: return takes_softmax(op);
    case GGML_OP_FLASH_ATTN_EXT: return takes_attention(op);
    case GGML_OP_SET_ROWS: return cache_takes_stored_rows(op);
    case GGML_OP_GET_ROWS: return cache_takes_chosen_rows(op);
    default: return false;
  }
}

void multiply_weights(const kernels::Products<F16>& work, KernelContext& context) { multiply(work, true, context); }

bool kernels_compute(const ggml_cgraph* graph, KernelContext& context) {
  for (int i = 0; i < graph->n_nodes; ++i) {
    const ggml_tensor* op = graph->nodes[i];
    if ((op->flags & GGML_TENSOR_FLAG_COMPUTE) == 0 || ggml_is_empty(op)) continue;
    switch (op->op) {
      case GGML_OP_NONE:
      case GGML_OP_RESHAPE:
      case GGML_OP_VIEW:
      case GGML_OP_PERMUTE:
      case GGML_OP_TRANSPOSE: break;
      case GGML_OP_MUL_MAT:
        if (!compute_product(graph, i, context)) return false;
        break;
      case GGML_OP_NORM:
      case GGML_OP_RMS_NORM: i = normalize(graph, i, context); break;
      case GGML_OP_MUL: scale_or_add(op, context); break;
      case GGML_OP_ADD:
        if (takes_shift(op) || !takes_follower(op)) {
          scale_or_add(op, context);
          break;
        }
        [[fallthrough]];
      case GGML_OP_UNARY: finish(op, context); break;
      case GGML_OP_GLU: swiglu(op, context); break;
      case GGML_OP_ROPE: rotate(op, context); break;
      case GGML_OP_CONT:
        if (!compute_copy_or_attention(graph, i, context)) return false;
        break;
      case GGML_OP_CPY: compute_copy(op, context); break;
      case GGML_OP_CONCAT: concatenate(op, context); break;
      case GGML_OP_IM2COL: i = embed_patches(graph, i, context); break;
      case GGML_OP_UPSCALE: i = interpolate(graph, i, context); break;
      case GGML_OP_SOFT_MAX: softmax(op, context); break;
      case GGML_OP_FLASH_ATTN_EXT:
        if (context.use.few_rows) {
          cache_attend(op, context);
        } else if (!attend(op, context)) {
          return false;
        }
        break;
      case GGML_OP_SET_ROWS: cache_store_rows(op); break;
      case GGML_OP_GET_ROWS: cache_choose_rows(op); break;
      default: return false;
    }
  }
  return true;
}

}  // namespace escribano::engine
