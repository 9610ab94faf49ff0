#pragma once

#include <filesystem>
#include <string_view>

#include "base/error.h"

namespace escribano::engine {

// Writes the GGUF file `model`, whose matrices are f16, bf16 or f32, to `destination` with matrices of `type`: "q8_0" or
// "q4_k_m" (llama.cpp's mix of q4_K and q6_K). Rows that a type cannot hold get the next better one. Memory stays flat.
// Overwrites `destination`, and may leave part of it behind where it fails. Fails with invalid_argument for another type
// and io_error with llama.cpp's reason. Malformed files may abort the process, hence check_model beforehand. Blocks for
// seconds to minutes, on all processors that the process may use; llama.cpp cannot be interrupted in it.
Status quantize_gguf(const std::filesystem::path& model, const std::filesystem::path& destination,
                     std::string_view type);

}  // namespace escribano::engine
