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

// Below so many rows a product of weights spends its time in reading them, and packing does not pay.
inline constexpr int kFewestPackedRows = 8;

// What the device is wanted for.
struct KernelUse {
  Precision precision = Precision::exact;  // of an encode or a prefill
  PatchWork* patches = nullptr;            // of an encode; if there are any, they must outlive it
  // A decode step: its few rows are bound by reading the weights, and their number changes with the company, so products and
  // attention are computed in another way, which is the same for any number of them.
  bool few_rows = false;
};

// The device takes operations only of graphs that this thread builds while one of these exists that wants it, and computes
// them as `use` says.
class KernelScope {
 public:
  explicit KernelScope(bool wanted, const KernelUse& use = {}) noexcept;
  ~KernelScope();
  KernelScope(const KernelScope&) = delete;
  KernelScope& operator=(const KernelScope&) = delete;

 private:
  [[maybe_unused]] bool before_;  // there is a version of this class that does nothing
  [[maybe_unused]] KernelUse use_before_;
};

}  // namespace escribano::engine
