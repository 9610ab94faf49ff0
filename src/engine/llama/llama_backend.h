#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "base/error.h"
#include "engine/backend.h"
#include "engine/plan/patches.h"
#include "engine/precision.h"

namespace escribano::engine {

struct LlamaOptions {
  std::filesystem::path model;      // GGUF of the language model; checked by models/resolve.h before it comes here
  std::filesystem::path projector;  // GGUF of vision tower and projector; empty for a text model

  int slots = 4;                           // sequences that can run at once; 1 to 255
  int context_tokens = 2048;               // of one slot; memory grows with slots * context_tokens
  int threads = 0;                         // compute threads; 0 means one for each processor this process may use
  int max_image_tokens = 4096;             // the largest image prepare() will be given
  bool kernels = true;                     // compute vision and prefill with engine/kernels where the processor can
  Precision precision = Precision::exact;  // other than exact with kernels only
  std::optional<PatchRule> patches;        // recompute only those that changed; needs the kernels. nullopt: all, always
  int gpu_layers = -1;                     // layers to put on a GPU where the build has one; -1 means all, 0 none
};

// Loads the model (weights are mapped, not read) and makes the context, which Backend::reshape can make anew. Blocks; seconds
// for large models. Fails with model_invalid, out_of_memory, invalid_argument, or unsupported where `precision` or `patches`
// cannot be had. Malformed model files may abort the process inside llama.cpp, hence
// the checks beforehand.
Result<std::unique_ptr<Backend>> load_llama_backend(const LlamaOptions& options);

}  // namespace escribano::engine
