#pragma once

struct ggml_cgraph;

namespace escribano::engine {

// Attention that a graph writes out as product, softmax and product, and the copies around it. Nodes are given by their
// index; all functions are pure.

// Whether nodes i to i + 2 are such attention, V^T softmax(K Q), with no one else looking at what lies between.
bool is_attention(const ggml_cgraph* graph, int i);
// The copy that puts the heads of attention beside each other, if no one else wants node i, its last one; -1 if there is
// none.
int joined_heads(const ggml_cgraph* graph, int i);
// Where attention begins whose values node i copies, if no one else wants the copy; -1 if there is none.
int attention_of_copy(const ggml_cgraph* graph, int i);

}  // namespace escribano::engine
