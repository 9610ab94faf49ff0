#pragma once

// Which tensor of a Hugging Face folder becomes which tensor of the GGUF pair. Pure: looks at names, shapes and types
// only, never at data.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "models/gguf.h"
#include "models/hf_config.h"
#include "models/mlx_affine.h"
#include "models/safetensors.h"

namespace escribano::models {

// The rest of a matrix that MLX has quantised: `source` holds its packed numbers.
struct AffineParts {
  AffineFormat format;
  SafetensorsFolder::Entry scales;
  SafetensorsFolder::Entry biases;
};

struct PlannedTensor {
  // How the elements of the source follow one another in the result.
  enum class Layout {
    plain,                 // as they are: all rows, or one of `slices` equal runs of them
    patch_channels_first,  // one of two time slices of a convolution kernel [out, 3, 2, px, px] (PyTorch)
    patch_channels_last,   // the same of [out, 2, px, px, 3] (MLX)
  };

  std::string name;                 // in the GGUF file
  std::vector<std::uint64_t> dims;  // innermost first
  GgmlType type = GgmlType::f32;
  bool type_is_fixed = true;  // false: a matrix, which may be kept in another type where `type` cannot hold its values
  SafetensorsFolder::Entry source;
  std::optional<AffineParts> affine;
  Layout layout = Layout::plain;
  std::uint32_t slices = 1;  // tensors that are made of this source: two of a patch layout
  std::uint32_t slice = 0;   // which of them
};

struct TensorPlan {
  std::vector<PlannedTensor> text;
  std::vector<PlannedTensor> vision;
};

// Matrices get `matrix_type`; vectors, the patch kernel and the position embeddings stay in single precision, as ggml's
// operators need them. Sources may be named as in transformers (model.language_model., model.visual.), as in its older
// versions (model., visual.) or as by MLX-VLM (language_model.model., vision_tower.). Any matrix may be quantised as
// config.json says. Fails with corrupt where a tensor is missing, has another shape than the configuration asks for, or is
// one that the architecture does not have (all named); unsupported for element types other than bf16, f16, f32 and, where
// the configuration says so, u32.
Result<TensorPlan> plan_tensors(const HfConfig& config, const SafetensorsFolder& weights, GgmlType matrix_type);

}  // namespace escribano::models
