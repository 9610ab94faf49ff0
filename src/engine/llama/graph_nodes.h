#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <ggml-impl.h>
#include <ggml.h>

namespace escribano::engine {

// Whether a node only gives another shape to what is in memory already.
inline bool is_view(const ggml_tensor* node) {
  return node->op == GGML_OP_VIEW || node->op == GGML_OP_RESHAPE || node->op == GGML_OP_PERMUTE ||
         node->op == GGML_OP_TRANSPOSE;
}

// The node behind i that has something to compute; n_nodes if none has.
inline int next_computed(const ggml_cgraph* graph, int i) {
  ++i;
  while (i < graph->n_nodes && is_view(graph->nodes[i])) ++i;
  return i;
}

// Strides in elements.
inline std::size_t row_stride(const ggml_tensor* t) { return t->nb[1] / ggml_element_size(t); }
inline std::size_t matrix_stride(const ggml_tensor* t) { return t->nb[2] / ggml_element_size(t); }
inline bool rows_are_contiguous(const ggml_tensor* t) {
  return t->nb[0] == ggml_type_size(t->type) && t->nb[1] % t->nb[0] == 0 && t->nb[2] % t->nb[0] == 0;
}
inline bool is_small(std::int64_t n) { return n < (std::int64_t{1} << 30); }

// Of the parameters of `op`, as 32-bit words.
inline float float_param(const ggml_tensor* op, int index) {
  float value = 0;
  std::memcpy(&value, reinterpret_cast<const char*>(op->op_params) + sizeof value * static_cast<std::size_t>(index),
              sizeof value);
  return value;
}

}  // namespace escribano::engine
