// The header of a GGUF file: whatever the bytes, metadata can be read in every type and every tensor lies inside them.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "models/check.h"
#include "models/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace escribano::models;
  const auto header = GgufHeader::parse(std::as_bytes(std::span(data, size)), "input");
  if (!header) return 0;
  for (const auto& [key, value] : header->metadata()) {
    std::size_t bytes = key.size();
    if (const auto strings = value.as_strings()) {
      for (const auto text : *strings) bytes += text.size();
    }
    if (const auto text = value.as_string()) bytes += text->size();
    if (bytes > size) std::abort();
    (void)value.as_uint();
    (void)value.as_f32();
    (void)value.as_bool();
    (void)value.as_i32s();
    (void)value.as_f32s();
    (void)value.as_bools();
    if (header->find(key) == nullptr) std::abort();
  }
  for (const auto& tensor : header->tensors()) {
    if (tensor.size_bytes > size || tensor.begin > size - tensor.size_bytes) std::abort();
    if (header->find_tensor(tensor.name) == nullptr) std::abort();
  }
  const KeyReader keys(*header, "input");
  for (const char* architecture : {"qwen3vl", "qwen2vl"}) {
    escribano::ModelInfo info;
    info.architecture = architecture;
    (void)check_qwenvl_text(keys, info).has_value();
    if (info.n_embd == 0) info.n_embd = 8;  // a projector by itself: that of the corpus' models
    (void)check_qwenvl_vision(keys, info).has_value();
  }
  return 0;
}
