#pragma once

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

}  // namespace escribano::engine
