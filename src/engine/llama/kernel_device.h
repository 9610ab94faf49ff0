#pragma once

#include "engine/precision.h"

struct ggml_backend_device;

namespace escribano::engine {

struct PatchWork;

// A ggml device that computes on this processor, beside ggml's own CPU device and on the same memory, with the matrix
// products and the attention of engine/kernels. ggml's scheduler gives it the operations it takes; the rest stays where
// it was. Registered with ggml on the first call, for good. What is made of it from now on computes with `threads`
// threads unless it is told otherwise. nullptr where the processor cannot run the kernels.
ggml_backend_device* kernel_device(int threads);

// Why the device could not compute in `precision`, as the end of a sentence; nullptr where it can.
const char* precision_obstacle(Precision precision) noexcept;

// The device takes operations only of graphs that this thread builds while one of these exists that wants it. Encode and
// prefill want it. A decode step does not: its few rows are bound by reading the weights, where llama.cpp is as fast or
// faster, and they change with the company, so whoever computes them must be the same for any number of them. What the
// device computes on this thread meanwhile is computed in `precision`. `patches`, if there are any, must outlive it and are
// only for an encode.
class KernelScope {
 public:
  explicit KernelScope(bool wanted, Precision precision = Precision::exact, PatchWork* patches = nullptr) noexcept;
  ~KernelScope();
  KernelScope(const KernelScope&) = delete;
  KernelScope& operator=(const KernelScope&) = delete;

 private:
  [[maybe_unused]] bool before_;  // there is a version of this class that does nothing
  [[maybe_unused]] Precision precision_before_;
  [[maybe_unused]] PatchWork* patches_before_;
};

}  // namespace escribano::engine
