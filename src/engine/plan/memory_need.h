#pragma once

#include <cstdint>
#include <optional>

#include "engine/plan/shape.h"

namespace escribano::engine {

// What the memory of a model depends on, as its headers say it. Zero where they do not.
struct ModelSizes {
  std::uint64_t weights_bytes = 0;    // of the language model; mapped, and needed whole for every token
  std::uint64_t projector_bytes = 0;  // of the vision tower; read into memory of its own
  std::uint64_t n_layer = 0;
  std::uint64_t n_embd = 0;
  std::uint64_t n_ff = 0;
  std::uint64_t n_head_kv = 0;
  std::uint64_t head_size = 0;
  std::uint64_t vocab_size = 0;
  std::uint64_t deepstack_count = 0;
  std::uint64_t vision_width = 0;
  std::uint64_t vision_ff = 0;
  std::uint64_t vision_heads = 0;
  bool vision_windows = false;
  std::uint64_t vision_layers = 0;
  std::uint64_t patch_px = 0;
  std::uint64_t merge = 0;  // patches a side that become one image token
};

// What the model is used for.
struct MemoryUse {
  Shape shape;
  int image_tokens = 0;                 // of the largest image; 0: the vision tower is not loaded
  bool keeps_patches = false;           // what the vision tower left of the last one, for those that do not change
  std::optional<std::uint64_t> frames;  // no more than these come; nullopt: caches may fill
  std::uint64_t cache_bytes = 0;        // limit of what is kept of frames for when they come again
};

// Bytes of main memory at the peak, as far as it can be known beforehand (docs/models.md has the measurements). A value
// beyond anything real is the largest number there is.
struct MemoryNeed {
  std::uint64_t weights_bytes = 0;
  std::uint64_t context_bytes = 0;  // keys and values
  std::uint64_t compute_bytes = 0;  // buffers of the two graphs, logits, pictures on their way
  std::uint64_t cache_bytes = 0;    // and what is kept of patches
  std::uint64_t program_bytes = 0;  // the program itself, its libraries, the vocabulary

  std::uint64_t total_bytes() const noexcept;
};

// Pure. With llama.cpp on processors; what lies on a GPU does not count.
MemoryNeed memory_need(const ModelSizes& model, const MemoryUse& use);

// The most sequences, from use.shape.slots down to 1, that `available_bytes` suffice for. Nullopt: not even for one. One
// takes as much as two (plan/planner.h). Pure.
std::optional<int> slots_that_fit(const ModelSizes& model, const MemoryUse& use, std::uint64_t available_bytes);

// `limits` lowered so far that no shape they allow needs more than `available_bytes`; the normal shape, which is that of
// `use` and is known to fit, stays possible. Pure.
ShapeLimits limits_that_fit(const ModelSizes& model, MemoryUse use, ShapeLimits limits, std::uint64_t available_bytes);

}  // namespace escribano::engine
