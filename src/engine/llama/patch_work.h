#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace escribano::engine {

// Keys and values of one layer of the vision tower, laid out as in its graph.
struct KeptLayer {
  std::vector<std::byte> keys;
  std::vector<std::byte> values;
};

// An encode that keeps keys and values of all layers, or that computes only some patches with what an earlier one kept.
// Then the graph stays as it is, but from `compact` on the first rows of each of its tensors are those patches, one behind
// the other, and what lies behind them is of no meaning: nothing between the patch embedding and the output looks at
// another row, but for the attention.
struct PatchWork {
  std::vector<KeptLayer>* layers = nullptr;  // of a picture of this size
  std::int64_t tokens = 0;                   // of the picture
  std::int64_t patches = 0;                  // of the picture; known once they are embedded
  std::vector<std::int32_t> changed;         // tokens to compute, ascending; empty: all
  std::vector<std::int32_t> rows;            // their patches, which lie beside each other
  bool compact = false;                      // these were put into the first rows
  std::size_t attended = 0;                  // layers whose attention was computed by the kernels
  std::size_t layers_done = 0;
};

}  // namespace escribano::engine
