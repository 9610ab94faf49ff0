#pragma once

// The tokenizer of a Hugging Face folder in the terms of GGUF. Byte-level BPE with Qwen2's way of cutting text, which
// is what Qwen3-VL and Qwen2.5-VL use and what llama.cpp calls "qwen2".

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "models/hf_config.h"

namespace escribano::models {

// Values of tokenizer.ggml.token_type (llama.h, enum llama_token_type).
enum class TokenType : std::int32_t { normal = 1, control = 3, user_defined = 4, unused = 5 };

struct HfTokenizer {
  std::vector<std::string> tokens;  // exactly vocab_size of them, all different; ids without a token are "[PADn]"
  std::vector<std::int32_t> types;  // one TokenType a token
  std::vector<std::string> merges;  // "left right", best first
  std::optional<std::uint32_t> bos;
  std::uint32_t eos = 0;
  std::optional<std::uint32_t> pad;
  std::vector<std::uint32_t> more_stops;  // further stop tokens that llama.cpp would not recognise by their text
  bool add_bos = false;
  std::optional<std::string> chat_template;
};

// Reads tokenizer.json, tokenizer_config.json and the chat template. Fails with not_found where tokenizer.json is
// missing, unsupported for another kind of tokenizer (the message says which part is unknown), corrupt where its parts
// contradict each other or the vocabulary size of `config`.
Result<HfTokenizer> read_hf_tokenizer(const std::filesystem::path& folder, const HfConfig& config);

// The files read_hf_tokenizer may read.
inline constexpr std::array tokenizer_files = {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
                                               "chat_template.json"};

}  // namespace escribano::models
