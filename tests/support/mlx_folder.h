#pragma once

#include <filesystem>

namespace escribano {

struct MlxFormat {
  int bits = 0;  // 2, 3, 4, 5, 6 or 8: affine quantisation; 0: every weight as bfloat16
  int group_size = 64;
  bool vision_tower = false;  // quantise it too, which MLX-VLM never does and others do
};

// Writes a Qwen3-VL folder of bfloat16 weights once more in the layout of MLX-VLM, as `mlx_vlm.convert` does: its names of
// tensors, the patch kernel with channels last, one file with an index, and in config.json what is quantised. Modules whose
// rows are no multiple of the group size stay as they are. Throws where that fails.
void write_mlx_folder(const std::filesystem::path& hf_folder, const std::filesystem::path& destination,
                      MlxFormat format);

}  // namespace escribano
