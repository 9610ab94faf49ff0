#include "engine/llama/quantize.h"

#include <optional>

#include <llama.h>

#include "base/file.h"
#include "engine/llama/llama_log.h"
#include "engine/llama/llama_system.h"

namespace escribano::engine {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{64} << 20;  // llama.cpp's own default is 8 GiB

std::optional<llama_ftype> file_type(std::string_view type) {
  if (type == "q8_0") return LLAMA_FTYPE_MOSTLY_Q8_0;
  if (type == "q4_k_m") return LLAMA_FTYPE_MOSTLY_Q4_K_M;
  return std::nullopt;
}

}  // namespace

Status quantize_gguf(const std::filesystem::path& model, const std::filesystem::path& destination,
                     std::string_view type) {
  const auto ftype = file_type(type);
  if (!ftype) return fail(Errc::invalid_argument, "unknown quantisation {}: q8_0 and q4_k_m can be made", type);
  capture_llama_log();
  take_llama_error();
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.ftype = *ftype;
  params.nthread = usable_processors();
  params.max_buf_size = kBufferBytes;
  if (llama_model_quantize(model.c_str(), destination.c_str(), &params) != 0) {
    return fail(Errc::io_error, "{} cannot be quantised: {}", printable(model), take_llama_error());
  }
  return {};
}

}  // namespace escribano::engine
