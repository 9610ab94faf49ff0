#include "engine/llama/written_attention.h"

#include <ggml-impl.h>
#include <ggml.h>

#include "engine/llama/graph_nodes.h"

namespace escribano::engine {

bool is_attention(const ggml_cgraph* graph, int i) {
  if (i + 2 >= ggml_graph_n_nodes(const_cast<ggml_cgraph*>(graph))) return false;
  const ggml_tensor* scores = graph->nodes[i];
  const ggml_tensor* weights = graph->nodes[i + 1];
  const ggml_tensor* out = graph->nodes[i + 2];
  return scores->op == GGML_OP_MUL_MAT && scores->src[0]->type == GGML_TYPE_F32 && weights->op == GGML_OP_SOFT_MAX &&
         weights->src[0] == scores && weights->src[1] == nullptr && out->op == GGML_OP_MUL_MAT &&
         out->src[1] == weights && out->src[0]->type == GGML_TYPE_F32 && scores->src[1]->ne[0] % 16 == 0 &&
         out->src[0]->ne[1] == scores->src[1]->ne[0] && ggml_node_has_n_uses(graph, i, 1) &&
         ggml_node_has_n_uses(graph, i + 1, 1);
}

int joined_heads(const ggml_cgraph* graph, int i) {
  const ggml_tensor* out = graph->nodes[i];
  const int at = next_computed(graph, i);
  if (at != i + 2 || at >= graph->n_nodes || !ggml_node_has_n_uses(graph, i, 1)) return -1;
  const ggml_tensor* view = graph->nodes[i + 1];
  const ggml_tensor* joined = graph->nodes[at];
  const bool heads_beside_each_other =
      view->ne[1] == out->ne[2] && view->nb[1] == out->nb[2] && view->ne[2] == out->ne[1] && view->nb[2] == out->nb[1];
  return joined->op == GGML_OP_CONT && joined->type == GGML_TYPE_F32 && joined->src[0] == view && view->src[0] == out &&
                 view->op == GGML_OP_PERMUTE && heads_beside_each_other && ggml_is_contiguous(joined) &&
                 ggml_node_get_use_count(graph, i + 1) == 1
             ? at
             : -1;
}

int attention_of_copy(const ggml_cgraph* graph, int i) {
  const ggml_tensor* copied = graph->nodes[i];
  const int at = next_computed(graph, i);
  const bool wanted = ggml_node_has_n_uses(graph, i, 1) && is_attention(graph, at) &&
                      graph->nodes[at + 2]->src[0] == copied && ggml_are_same_shape(copied, copied->src[0]);
  return wanted ? at : -1;
}

}  // namespace escribano::engine
