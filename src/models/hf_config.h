#pragma once

// What a Hugging Face folder of a Qwen3-VL or Qwen2.5-VL model says about its model, checked: every number lies in a range
// that llama.cpp and libmtmd can work with, so that shapes computed from them cannot overflow.

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "models/mlx_affine.h"

namespace escribano::models {

// model_type qwen3_vl and qwen2_5_vl.
enum class ModelFamily { qwen3_vl, qwen2_5_vl };

// What llama.cpp calls a language model of the family: "qwen3vl", "qwen2vl" (which is Qwen2.5-VL's, too).
std::string_view architecture_name(ModelFamily family) noexcept;

struct TextConfig {
  std::uint32_t vocab_size = 0;
  std::uint32_t hidden = 0;
  std::uint32_t intermediate = 0;
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_size = 0;
  std::uint32_t context = 0;  // tokens the model was trained for
  float rms_epsilon = 0;
  float rope_theta = 0;
  std::array<std::int32_t, 3> rope_sections{};  // time, height, width; their sum is half the head size
  bool tied_head = false;                       // the output matrix is the token embedding
  std::optional<std::uint32_t> bos_token;
  std::optional<std::uint32_t> eos_token;
  std::optional<std::uint32_t> pad_token;
};

struct VisionConfig {
  std::uint32_t layers = 0;
  std::uint32_t hidden = 0;
  std::uint32_t intermediate = 0;
  std::uint32_t heads = 0;
  std::uint32_t patch_px = 0;
  std::uint32_t merge = 2;  // merged patches a side
  // Qwen3-VL.
  std::uint32_t positions = 0;  // learned position embeddings, a square number
  std::uint32_t positions_per_side = 0;
  std::vector<std::uint32_t> deepstack;  // layers whose output is fed to the language model; unique, any order
  // Qwen2.5-VL: of so many layers the last one looks at the whole image, the others at windows of it; never 1. 0: all
  // layers look at the whole.
  std::uint32_t window_pattern = 0;
};

// How images are brought to the size and range that the model was trained with.
struct ImageRule {
  std::optional<std::uint32_t> min_pixels;
  std::optional<std::uint32_t> max_pixels;
  std::array<float, 3> mean{};
  std::array<float, 3> std_dev{};
};

struct HfConfig {
  ModelFamily family = ModelFamily::qwen3_vl;
  TextConfig text;
  VisionConfig vision;
  std::optional<MlxQuantization> quantization;
  ImageRule image;
  std::vector<std::uint32_t> stop_tokens;              // generation_config.json: eos_token_id
  std::optional<std::uint32_t> max_frames_per_prompt;  // escribano.json
};

// Reads config.json, preprocessor_config.json (or processor_config.json), generation_config.json and escribano.json.
// Fails with not_found where one that is needed is missing, no_vision for a folder without a vision tower, unsupported
// for other families, weights quantised by others than MLX and variants that llama.cpp's graph does not compute, corrupt for values that
// make no sense.
Result<HfConfig> read_hf_config(const std::filesystem::path& folder);

// The files read_hf_config may read, whose contents belong to the identity of an import.
inline constexpr std::array config_files = {"config.json", "preprocessor_config.json", "processor_config.json",
                                            "generation_config.json", "escribano.json"};

}  // namespace escribano::models
