#pragma once

struct ggml_backend_device;

namespace escribano::engine {

// A ggml device that computes on this processor, beside ggml's own CPU device and on the same memory, with the matrix
// products and the attention of engine/kernels. ggml's scheduler gives it the operations it takes; the rest stays where
// it was. Registered with ggml on the first call, for good. What is made of it from now on computes with `threads`
// threads unless it is told otherwise. nullptr where the processor cannot run the kernels.
ggml_backend_device* kernel_device(int threads);

// What a graph is for. The rows of a decode step change with the company, and whatever computes them must not: in a decode
// step the device takes all products of bf16 weights and nothing else, in encode and prefill what pays.
enum class KernelUse { none, prefill, decode };

// The device takes operations only of graphs that this thread builds while one of these exists.
class KernelScope {
 public:
  explicit KernelScope(KernelUse use) noexcept;
  ~KernelScope();
  KernelScope(const KernelScope&) = delete;
  KernelScope& operator=(const KernelScope&) = delete;

 private:
  KernelUse before_;
};

}  // namespace escribano::engine
