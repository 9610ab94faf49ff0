// Compiled for any processor: it decides whether the other files may run.
#include <cstdlib>
#include <new>

#include "engine/kernels/kernels.h"

namespace escribano::engine::kernels {

bool supported() noexcept {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512bf16") != 0;
}

bool supports_int8() noexcept { return supported() && __builtin_cpu_supports("avx512vnni") != 0; }

void Scratch::Free::operator()(std::byte* p) const noexcept { ::operator delete(p, std::align_val_t(64)); }

std::byte* Scratch::get(std::size_t bytes) {
  if (bytes > size_) {
    memory_.reset();
    size_ = 0;
    memory_.reset(static_cast<std::byte*>(::operator new(bytes, std::align_val_t(64))));
    size_ = bytes;
  }
  return memory_.get();
}

}  // namespace escribano::engine::kernels
