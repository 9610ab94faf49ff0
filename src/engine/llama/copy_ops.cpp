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

// Before and after attention that is written out: values are transposed, and heads are put beside each other again. Before
// flash attention keys and values are rounded to half precision.
bool transposes_values(const ggml_tensor* op) {
  const ggml_tensor* x = op->src[0];
  return op->op == GGML_OP_CONT && begins_with(op->name, "Vcur-") && x->nb[1] == sizeof(float) &&
         ggml_are_same_shape(op, x);
}
bool joins_heads(const ggml_tensor* op) {
  const ggml_tensor* x = op->src[0];
  return op->op == GGML_OP_CONT && begins_with(op->name, "kqv_out-") && x->nb[0] == sizeof(float) &&
         op->ne[0] == x->ne[0] * x->ne[1] && op->ne[1] == x->ne[2] && op->ne[2] == 1;
}
bool halves(const ggml_tensor* op) {
  const ggml_tensor* x = op->src[0];
  return op->op == GGML_OP_CPY && op->type == GGML_TYPE_F16 && x->nb[0] == sizeof(float) &&
         (begins_with(op->name, "Kcur") || begins_with(op->name, "Vcur")) && ggml_are_same_shape(op, x);
}

}  // namespace

std::int64_t computed_rows(std::int64_t rows, const KernelContext& context) {
  const PatchWork* work = context.patches;
  if (work == nullptr || !work->compact) return rows;
  const auto chosen = static_cast<std::int64_t>(work->rows.size());
  if (rows == work->patches) return chosen;
  return rows == work->tokens ? chosen * work->tokens / work->patches : rows;
}

bool kernels_take_copy(const ggml_tensor* op) {
  if (op->op != GGML_OP_CONT && op->op != GGML_OP_CPY) return false;
  return op->src[0]->type == GGML_TYPE_F32 && op->ne[3] == 1 && ggml_is_contiguous(op) &&
         (op->type == GGML_TYPE_F16 ? halves(op)
                                    : op->type == GGML_TYPE_F32 && (transposes_values(op) || joins_heads(op)));
}

// Rows of op->ne[0] floats, or columns where values are transposed, of the patches that are computed.
void compute_copy(const ggml_tensor* op, const KernelContext& context) {
  const ggml_tensor* x = op->src[0];
  const auto* const from = static_cast<const char*>(x->data);
  auto* const to = static_cast<char*>(op->data);
  const auto at = [](auto* data, const ggml_tensor* t, std::int64_t i, std::int64_t j, std::int64_t k) {
    return data + static_cast<std::size_t>(i) * t->nb[0] + static_cast<std::size_t>(j) * t->nb[1] +
           static_cast<std::size_t>(k) * t->nb[2];
  };
  if (transposes_values(op)) {
    constexpr std::int64_t kBlock = 16;  // of patches: a cache line of the output
    const std::int64_t patches = computed_rows(x->ne[0], context);
    for (std::int64_t head = 0; head < x->ne[2]; ++head) {
      for (std::int64_t block = 0; block < patches; block += kBlock) {
        for (std::int64_t d = 0; d < x->ne[1]; ++d) {
          for (std::int64_t i = block; i < std::min(block + kBlock, patches); ++i) {
            std::memcpy(at(to, op, i, d, head), at(from, x, i, d, head), sizeof(float));
          }
        }
      }
    }
  } else if (joins_heads(op)) {
    const std::size_t bytes = static_cast<std::size_t>(x->ne[0]) * sizeof(float);
    for (std::int64_t i = 0; i < computed_rows(x->ne[2], context); ++i) {
      for (std::int64_t head = 0; head < x->ne[1]; ++head) {
        std::memcpy(at(to, op, head * x->ne[0], i, 0), at(from, x, 0, head, i), bytes);
      }
    }
  } else {
    for (std::int64_t head = 0; head < x->ne[2]; ++head) {
      for (std::int64_t i = 0; i < computed_rows(x->ne[1], context); ++i) {
        ggml_fp32_to_fp16_row(reinterpret_cast<const float*>(at(from, x, 0, i, head)),
                              reinterpret_cast<ggml_fp16_t*>(at(to, op, 0, i, head)), x->ne[0]);
      }
    }
  }
}

bool attend_to_kept(const ggml_tensor* k, const ggml_tensor* v, const KernelContext& context,
                    kernels::Attention& attention) {
  PatchWork* work = context.patches;
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
