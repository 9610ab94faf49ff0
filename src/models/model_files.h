#pragma once

// The two files a vision-language model consists of, and what can be known about them without loading them.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace escribano {

struct ModelFiles {
  std::filesystem::path model;      // language model, GGUF
  std::filesystem::path projector;  // vision tower and projector, GGUF; empty for a text model
  std::string name;                 // what to call it in messages and results, e.g. "Qwen/Qwen3-VL-2B-Instruct"

  friend bool operator==(const ModelFiles&, const ModelFiles&) = default;
};

struct ModelInfo {
  std::string architecture;           // "qwen3vl", "qwen2vl"
  std::uint64_t file_bytes = 0;       // of both files together
  std::uint64_t projector_bytes = 0;  // of the projector's file

  // Language model. Zero where a model of another architecture does not say.
  std::uint32_t n_ctx_train = 0;  // tokens
  std::uint32_t n_layer = 0;
  std::uint32_t n_embd = 0;
  std::uint32_t n_ff = 0;
  std::uint32_t n_head = 0;
  std::uint32_t n_head_kv = 0;
  std::uint32_t head_size = 0;
  std::uint32_t vocab_size = 0;
  std::uint32_t deepstack_count = 0;  // layers of the vision tower fed to the first layers of the language model
  bool has_chat_template = false;

  // Vision; meaningful where has_vision.
  bool has_vision = false;
  std::string projector_type;      // "qwen3vl_merger", "qwen2.5vl_merger"
  std::uint32_t vision_width = 0;  // of the vision tower; this and the next three are 0 for other families
  std::uint32_t vision_ff = 0;
  std::uint32_t vision_heads = 0;
  std::uint32_t vision_layers = 0;
  bool vision_windows = false;              // most of its layers look at windows of the image, by a mask
  std::uint32_t patch_size = 0;             // pixels a side
  std::uint32_t merge_size = 0;             // patches a side that become one image token
  std::optional<std::uint32_t> min_pixels;  // of an image, by the model's own rule; libmtmd ignores both for Qwen
  std::optional<std::uint32_t> max_pixels;

  // Frames in one prompt beyond which the model was not trained, where its publisher says so.
  std::optional<std::uint32_t> max_frames_per_prompt;
};

// Reads and checks the headers of a pair. For the architectures qwen3vl and qwen2vl everything is checked that would otherwise make
// llama.cpp or libmtmd abort the process or read outside a tensor: types and ranges of metadata, presence, shapes and
// element types of tensors, tokenizer lists, and that the projector fits the language model. For other architectures
// only the containers are. Blocks for reading the headers; never reads tensor data.
// Fails with not_found, not_permitted and io_error as the files do, corrupt or too_large where a container is broken,
// unsupported for split files and unknown element types, model_invalid where a sound container holds an unusable model.
Result<ModelInfo> check_model(const ModelFiles& files);

// The error to refuse a picture with when the model is text only: Errc::no_vision and what to do about it.
Error no_vision_error(const ModelFiles& files);

}  // namespace escribano
