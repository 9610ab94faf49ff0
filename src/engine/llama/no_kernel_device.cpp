// Where there are no kernels for the processor, or no sources of ggml to build a device with.
#include "engine/llama/kernel_device.h"

namespace escribano::engine {

ggml_backend_device* kernel_device(int) { return nullptr; }
KernelScope::KernelScope(bool wanted, PatchWork* patches) noexcept : before_(wanted), patches_before_(patches) {}
KernelScope::~KernelScope() = default;

}  // namespace escribano::engine
