#include "engine/llama/kernel_device.h"

#include <atomic>
#include <cstring>
#include <new>
#include <utility>

#include <ggml-backend-impl.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include "engine/kernels/kernels.h"
#include "engine/llama/kernel_ops.h"

// Entries of ggml's tables of functions that are missing here are optional there.
namespace escribano::engine {
namespace {

thread_local bool wanted_now = false;
thread_local KernelUse use_now;
std::atomic<int> threads_of_next = 1;

ggml_status compute(ggml_backend_t backend, ggml_cgraph* graph) {
  try {
    auto& context = *static_cast<KernelContext*>(backend->context);
    context.use = use_now;
    const bool known = kernels_compute(graph, context);
    return known ? GGML_STATUS_SUCCESS : GGML_STATUS_FAILED;
  } catch (const std::bad_alloc&) {
    return GGML_STATUS_ALLOC_FAILED;
  }
}

bool takes(ggml_backend_dev_t, const ggml_tensor* op) { return wanted_now && kernels_take(op, use_now.few_rows); }
const char* name(ggml_backend_dev_t) { return "kernels"; }
const char* description(ggml_backend_dev_t) { return "what models are made of, for AVX-512 with bf16"; }
void memory(ggml_backend_dev_t, std::size_t* free, std::size_t* total) { *free = *total = 0; }
enum ggml_backend_dev_type type(ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_ACCEL; }
ggml_backend_buffer_type_t buffer_type(ggml_backend_dev_t) { return ggml_backend_cpu_buffer_type(); }
bool takes_buffers(ggml_backend_dev_t, ggml_backend_buffer_type_t type) { return ggml_backend_buft_is_host(type); }
ggml_backend_buffer_t buffer_from_host(ggml_backend_dev_t, void* data, std::size_t size, std::size_t) {
  return ggml_backend_cpu_buffer_from_ptr(data, size);
}
void props(ggml_backend_dev_t device, ggml_backend_dev_props* props) {
  props->name = name(device);
  props->description = description(device);
  props->type = type(device);
  props->memory_free = props->memory_total = 0;
  props->caps = {
      .async = false, .host_buffer = false, .buffer_from_host_ptr = true, .events = false, .mmap_support = true};
}

ggml_backend_t make_backend(ggml_backend_dev_t device, const char*) {
  static ggml_guid guid = {'e', 's', 'c', 'r', 'i', 'b', 'a', 'n', 'o', 'k', 'e', 'r', 'n', 'e', 'l', 's'};
  return new ggml_backend{
      .guid = &guid,
      .iface = {
          .get_name = [](ggml_backend_t) { return "kernels"; },
          .free =
              [](ggml_backend_t backend) {
                delete static_cast<KernelContext*>(backend->context);
                delete backend;
              },
          .graph_compute = compute,
      },
      .device = device,
      .context = new KernelContext{.threads = threads_of_next.load()},
  };
}

void set_threads(ggml_backend_t backend, int threads) {
  static_cast<KernelContext*>(backend->context)->threads = threads;
}

ggml_backend_dev_t device_of(ggml_backend_reg_t registry, std::size_t) {
  static ggml_backend_device device = {
      .iface =
          {
              .get_name = name,
              .get_description = description,
              .get_memory = memory,
              .get_type = type,
              .get_props = props,
              .init_backend = make_backend,
              .get_buffer_type = buffer_type,
              .buffer_from_host_ptr = buffer_from_host,
              .supports_op = takes,
              .supports_buft = takes_buffers,
          },
      .reg = registry,
      .context = nullptr,
  };
  return &device;
}

void* function_of(ggml_backend_reg_t, const char* function) {
  if (std::strcmp(function, "ggml_backend_set_n_threads") != 0) return nullptr;
  return reinterpret_cast<void*>(set_threads);
}

}  // namespace

ggml_backend_device* kernel_device(int threads) {
  threads_of_next.store(threads);
  static ggml_backend_dev_t device = [] {
    if (!kernels::supported()) return ggml_backend_dev_t{nullptr};
    static ggml_backend_reg registry = {
        .api_version = GGML_BACKEND_API_VERSION,
        .iface = {
            .get_name = [](ggml_backend_reg_t) { return "kernels"; },
            .get_device_count = [](ggml_backend_reg_t) { return std::size_t{1}; },
            .get_device = device_of,
            .get_proc_address = function_of,
        },
        .context = nullptr,
    };
    ggml_backend_register(&registry);
    return device_of(&registry, 0);
  }();
  return device;
}

const char* precision_obstacle(Precision precision) noexcept {
  if (precision == Precision::exact) return nullptr;
  if (!kernels::supported()) return "this processor has no AVX-512 with bf16";
  if (precision == Precision::int8 && !kernels::supports_int8()) return "this processor has no AVX-512 VNNI";
  return nullptr;
}

KernelScope::KernelScope(bool wanted, const KernelUse& use) noexcept
    : before_(std::exchange(wanted_now, wanted)), use_before_(std::exchange(use_now, use)) {}
KernelScope::~KernelScope() {
  wanted_now = before_;
  use_now = use_before_;
}

}  // namespace escribano::engine
