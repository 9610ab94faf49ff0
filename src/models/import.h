#pragma once

// Turning a Hugging Face (or MLX-VLM) folder of a Qwen3-VL or Qwen2.5-VL model into the GGUF pair that llama.cpp loads.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "models/model_files.h"

namespace escribano {

// Element type of the matrices in the result. Half precision holds every trained weight of a bfloat16 model exactly but
// for the very small ones, and every backend of llama.cpp has kernels for it. A matrix with values beyond
// half precision's range keeps its own type.
enum class WeightType { f16, bf16, f32 };

// Of the language model; the projector stays in the type of the weights. Named as quantization_name() says.
enum class Quantization { q8_0, q4_k_m };
std::string_view quantization_name(Quantization quantization) noexcept;  // "q8_0", "q4_k_m"

// Writes the language model `model` to `destination`, quantised to the named type. Called on a thread of the import's.
using Quantizer = std::function<Status(const std::filesystem::path& model, const std::filesystem::path& destination,
                                       std::string_view type)>;

struct ImportOptions {
  // Nothing: f16, or bf16 for a folder of bf16 weights that is larger than `small_bytes`. Processors compute bf16 twice as
  // fast as the floats that half precision is computed in, and large models are trained and run in it. Weights quantised
  // to more than 4 bits become f16 whatever their size: bf16 would lose some of these bits.
  std::optional<WeightType> weights;
  // ModelFiles::name of the result; empty: the name of the folder. Not part of a model's identity: general.name inside
  // the files is the name under which they were made first.
  std::string name;
  std::uint64_t small_bytes = 1U << 30U;
  std::optional<Quantization> quantize;
  Quantizer quantizer;  // needed with `quantize`: engine::quantize_gguf, which this folder does not know
  // Looks at the pair that was just written, while nobody else can find it: where it fails, so does the import, with its
  // error. Not called for a pair that an earlier import has made. Called on the thread that imports.
  std::function<Status(const ModelFiles&)> verify;
};

struct ImportProgress {
  enum class Stage {
    waiting,     // another process is importing the same model
    reading,     // the weights are read to recognise them (skipped when the folder has not changed since the last time)
    checking,    // the weights are checked for values that cannot be converted
    writing,     // the pair is written
    quantising,  // the language model is quantised; bytes of the result, the total is an estimate until the end
    verifying,   // ImportOptions::verify looks at the pair; both 0
  };
  Stage stage = Stage::reading;
  std::uint64_t done_bytes = 0;  // of this stage; both 0 while waiting
  std::uint64_t total_bytes = 0;
};

// Called on the thread that imports, about every 16 MiB. Returning false stops the import: import_folder then fails
// with cancelled and leaves nothing behind. While quantising it stops only when that is done.
using ImportProgressCallback = std::function<bool(const ImportProgress&)>;

// The pair made of `folder`, in a folder of its own below `cache_root` (created if need be). The first call for some
// contents writes the pair, later calls find it. Contents are recognised by a SHA-256 digest of the configuration,
// tokenizer and weight files, of the weight type, the quantisation and the importer's version, never by path or name: a
// folder that was edited is imported anew, one that was moved is not. The digest of a weight file is remembered with the
// file's device, inode, size and times of change, so gigabytes are read only once.
//
// Two processes or threads may import the same folder at once: one works, the other waits and takes its result.
// Whatever goes wrong (cancelled, disk full, killed) no half-written file is ever taken for a model. Memory stays flat.
//
// Fails with not_found where the folder or a part of it is missing, no_vision for text models, unsupported for other
// families, tokenizers and quantisation that is not MLX's affine one, corrupt where the parts contradict each other or
// hold values that are not finite, not_permitted or io_error where the cache cannot be written (including too little
// space, found before anything is written), cancelled, invalid_argument where a quantizer is needed and missing, and what
// `quantizer` and `verify` say. Blocks for seconds to minutes on first use.
Result<ModelFiles> import_folder(const std::filesystem::path& folder, const std::filesystem::path& cache_root,
                                 const ImportOptions& options = {}, const ImportProgressCallback& progress = {});

}  // namespace escribano
