#include "engine/llama/copy_ops.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include <ggml-impl.h>
#include <ggml.h>

#include "engine/llama/kernel_ops.h"

namespace escribano::engine {
namespace {

// Takes over what was computed of keys or values, whose patches lie along dimension `along` (0 or 1) of `t`.
void keep(const ggml_tensor* t, int along, const PatchWork& work, std::vector<std::byte>& kept) {
  const auto* const from = static_cast<const std::byte*>(t->data);
  if (!work.compact) {
    kept.assign(from, from + ggml_nbytes(t));
    return;
  }
  const std::size_t size = ggml_element_size(t);
  const std::size_t across = along == 1 ? t->nb[0] : t->nb[1];
  const std::int64_t width = t->ne[1 - along];
  for (std::int64_t head = 0; head < t->ne[2]; ++head) {
    const std::size_t begin = static_cast<std::size_t>(head) * t->nb[2];
    for (std::size_t i = 0; i < work.rows.size(); ++i) {
      const std::byte* x = from + begin + i * t->nb[along];
      std::byte* to = kept.data() + begin + static_cast<std::size_t>(work.rows[i]) * t->nb[along];
      for (std::int64_t d = 0; d < width; ++d, x += across, to += across) std::memcpy(to, x, size);
    }
  }
}

bool begins_with(const char* name, const char* begin) { return std::strncmp(name, begin, std::strlen(begin)) == 0; }

// Along which dimension of the source the patches of a vision tower lie in a copy beside its attention, else -1. Attention
// that is written out has values transposed before and heads put beside each other behind it; before flash attention keys and
// values are rounded to half precision.
int patch_dimension(const ggml_tensor* op) {
  const ggml_tensor* x = op->src[0];
  if (op->type == GGML_TYPE_F16) return begins_with(op->name, "Kcur") || begins_with(op->name, "Vcur") ? 1 : -1;
  if (begins_with(op->name, "Vcur-") && x->nb[0] != sizeof(float)) return 0;
  const bool joined = op->ne[0] == x->ne[0] * x->ne[1] && op->ne[1] == x->ne[2];
  return begins_with(op->name, "kqv_out-") && joined ? 2 : -1;
}

const float* floats_at(const ggml_tensor* t, std::int64_t i1, std::int64_t i2, std::int64_t i3) {
  return reinterpret_cast<const float*>(static_cast<const char*>(t->data) + static_cast<std::size_t>(i1) * t->nb[1] +
                                        static_cast<std::size_t>(i2) * t->nb[2] +
                                        static_cast<std::size_t>(i3) * t->nb[3]);
}

void copy_row(const float* x, float* out, std::int64_t count) { std::copy_n(x, count, out); }
void copy_row(const float* x, kernels::F16* out, std::int64_t count) {
  kernels::round_to_f16(x, out, static_cast<std::size_t>(count));
}

// The first counts[i] of each dimension of the source; its rows are contiguous.
template <class T>
void copy_rows(const ggml_tensor* op, const std::int64_t* counts, int threads) {
  const ggml_tensor* x = op->src[0];
  auto* const out = static_cast<T*>(op->data);
#pragma omp parallel for collapse(3) schedule(static) num_threads(threads)
  for (std::int64_t i3 = 0; i3 < counts[3]; ++i3) {
    for (std::int64_t i2 = 0; i2 < counts[2]; ++i2) {
      for (std::int64_t i1 = 0; i1 < counts[1]; ++i1) {
        copy_row(floats_at(x, i1, i2, i3), out + ((i3 * x->ne[2] + i2) * x->ne[1] + i1) * x->ne[0], x->ne[0]);
      }
    }
  }
}

// The same where columns are contiguous and become rows.
void transpose(const ggml_tensor* op, const std::int64_t* counts, int threads) {
  constexpr std::int64_t kBlock = 16;  // a cache line of the output
  const ggml_tensor* x = op->src[0];
  auto* const out = static_cast<float*>(op->data);
  const auto stride = static_cast<std::int64_t>(x->nb[0] / sizeof(float));
#pragma omp parallel for collapse(3) schedule(static) num_threads(threads)
  for (std::int64_t i3 = 0; i3 < counts[3]; ++i3) {
    for (std::int64_t i2 = 0; i2 < counts[2]; ++i2) {
      for (std::int64_t block = 0; block < counts[0]; block += kBlock) {
        const float* const from = floats_at(x, 0, i2, i3);
        float* const to = out + (i3 * x->ne[2] + i2) * x->ne[1] * x->ne[0];
        const std::int64_t end = std::min(block + kBlock, counts[0]);
        for (std::int64_t i1 = 0; i1 < counts[1]; ++i1) {
          for (std::int64_t i0 = block; i0 < end; ++i0) to[i1 * x->ne[0] + i0] = from[i0 * stride + i1];
        }
      }
    }
  }
}

}  // namespace

std::int64_t computed_rows(std::int64_t rows, const KernelContext& context) {
  const PatchWork* work = context.use.patches;
  if (work == nullptr || !work->compact) return rows;
  const auto chosen = static_cast<std::int64_t>(work->rows.size());
  if (rows == work->patches) return chosen;
  return rows == work->tokens ? chosen * work->tokens / work->patches : rows;
}

bool kernels_take_copy(const ggml_tensor* op) {
  const ggml_tensor* x = op->src[0];
  if (x->type != GGML_TYPE_F32 || !ggml_is_contiguous(op) || ggml_nelements(x) != ggml_nelements(op)) return false;
  const bool rows = x->nb[0] == sizeof(float);
  if (op->type == GGML_TYPE_F16) return rows;
  return op->op == GGML_OP_CONT && op->type == GGML_TYPE_F32 &&
         (rows || (x->nb[1] == sizeof(float) && x->nb[0] % sizeof(float) == 0));
}

void compute_copy(const ggml_tensor* op, const KernelContext& context) {
  std::int64_t counts[GGML_MAX_DIMS];
  std::copy_n(op->src[0]->ne, GGML_MAX_DIMS, counts);
  if (const int along = patch_dimension(op); along >= 0) counts[along] = computed_rows(counts[along], context);
  if (op->type == GGML_TYPE_F16) {
    copy_rows<kernels::F16>(op, counts, context.threads);
  } else if (op->src[0]->nb[0] == sizeof(float)) {
    copy_rows<float>(op, counts, context.threads);
  } else {
    transpose(op, counts, context.threads);
  }
}

bool takes_concatenation(const ggml_tensor* op) {
  const auto is_matrix = [](const ggml_tensor* t) {
    return t->type == GGML_TYPE_F32 && t->nb[0] == sizeof(float) && t->ne[2] == 1 && t->ne[3] == 1;
  };
  return op->op_params[0] == 0 && is_matrix(op->src[0]) && is_matrix(op->src[1]) && is_matrix(op);
}

void concatenate(const ggml_tensor* op, const KernelContext& context) {
  const std::int64_t rows = computed_rows(op->ne[1], context);
#pragma omp parallel for schedule(static) num_threads(context.threads)
  for (std::int64_t row = 0; row < rows; ++row) {
    auto* const out = const_cast<float*>(floats_at(op, row, 0, 0));
    copy_row(floats_at(op->src[0], row, 0, 0), out, op->src[0]->ne[0]);
    copy_row(floats_at(op->src[1], row, 0, 0), out + op->src[0]->ne[0], op->src[1]->ne[0]);
  }
}

bool attend_to_kept(const ggml_tensor* k, const ggml_tensor* v, const KernelContext& context,
                    kernels::Attention& attention) {
  PatchWork* work = context.use.patches;
  if (work == nullptr || work->patches == 0)
    return true;  // patches of another kind of tower were not seen being embedded
  const std::size_t layer = work->attended++;
  if (k->ne[1] != work->patches || attention.queries != work->patches) return false;
  if (work->layers->size() <= layer) {
    if (work->compact) return false;
    work->layers->resize(layer + 1);
  }
  KeptLayer& kept = (*work->layers)[layer];
  if (work->compact && (kept.keys.size() != ggml_nbytes(k) || kept.values.size() != ggml_nbytes(v))) return false;
  keep(k, 1, *work, kept.keys);
  keep(v, attention.v_transposed ? 0 : 1, *work, kept.values);
  if (!work->compact) return true;
  attention.queries = static_cast<int>(work->rows.size());
  attention.k = kept.keys.data();
  attention.v = kept.values.data();
  return true;
}

}  // namespace escribano::engine
