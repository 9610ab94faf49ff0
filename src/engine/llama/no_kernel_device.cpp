// Where there are no kernels for the processor, or no sources of ggml to build a device with.
#include "engine/llama/kernel_device.h"

namespace escribano::engine {

ggml_backend_device* kernel_device(int) { return nullptr; }
const char* precision_obstacle(Precision precision) noexcept {
  return precision == Precision::exact ? nullptr : "this program was built without kernels of its own";
}
KernelScope::KernelScope(bool wanted, const KernelUse& use) noexcept : before_(wanted), use_before_(use) {}
KernelScope::~KernelScope() = default;

}  // namespace escribano::engine
