// The header of a safetensors file: whatever the bytes, every tensor that is reported lies inside them.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "models/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto header = escribano::models::parse_safetensors(std::as_bytes(std::span(data, size)), "input");
  if (!header) return 0;
  std::uint64_t end = 0;
  for (const auto& tensor : header->tensors) {
    if (tensor.begin < end || tensor.size_bytes > size || tensor.begin > size - tensor.size_bytes) std::abort();
    end = tensor.begin + tensor.size_bytes;
  }
  return 0;
}
