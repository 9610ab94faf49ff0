#include "engine/llama/embed_ops.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ggml-impl.h>
#include <ggml.h>

#include "engine/kernels/kernels.h"
#include "engine/llama/graph_nodes.h"
#include "engine/llama/kernel_ops.h"

namespace escribano::engine {
namespace {

using kernels::F16;

void gather_patches(const ggml_tensor* op, F16* out, int threads) {
  const ggml_tensor* weights = op->src[0];
  const ggml_tensor* picture = op->src[1];
  const std::int64_t width = weights->ne[0];
  const std::int64_t height = weights->ne[1];
  const std::int64_t lines = picture->ne[2] * height;  // of a patch, in all channels
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
  for (std::int64_t y = 0; y < op->ne[2]; ++y) {
    for (std::int64_t x = 0; x < op->ne[1]; ++x) {
      F16* to = out + (y * op->ne[1] + x) * op->ne[0];
      for (std::int64_t line = 0; line < lines; ++line, to += width) {
        const std::int64_t row = line / height * picture->ne[1] + y * height + line % height;
        kernels::round_to_f16(static_cast<const float*>(picture->data) + row * picture->ne[0] + x * width, to,
                              static_cast<std::size_t>(width));
      }
    }
  }
}

// One of two convolutions of a still picture: its patches, their product with weights, that as a tensor of the picture's
// shape.
struct Convolution {
  const ggml_tensor* patches = nullptr;
  const ggml_tensor* weights = nullptr;
  int last = -1;
};

// Whether `x` is `of` in another shape, or `of` itself.
bool shows(const ggml_tensor* x, const ggml_tensor* of) { return x == of || (is_view(x) && x->view_src == of); }

// That which begins at node i, if no one else wants what lies between; `last` is -1 otherwise.
Convolution convolution(const ggml_cgraph* graph, int i) {
  const int multiplied = next_computed(graph, i);
  if (i >= graph->n_nodes || multiplied >= graph->n_nodes) return {};
  const int copied = next_computed(graph, multiplied);
  if (copied >= graph->n_nodes) return {};
  const ggml_tensor* patches = graph->nodes[i];
  const ggml_tensor* product = graph->nodes[multiplied];
  const ggml_tensor* copy = graph->nodes[copied];
  const bool one_after_the_other =
      patches->op == GGML_OP_IM2COL && takes_patches(patches) && product->op == GGML_OP_MUL_MAT &&
      kernels_take(product, false) && shows(product->src[0], patches) && ggml_is_contiguous(product->src[0]) &&
      ggml_is_contiguous(product->src[1]) && ggml_is_contiguous(product) && copy->op == GGML_OP_CONT &&
      shows(copy->src[0], product) && ggml_is_contiguous(copy->src[0]) && ggml_is_contiguous(copy) &&
      copy->type == GGML_TYPE_F32;
  for (int at = i; one_after_the_other && at <= copied; ++at) {
    if (ggml_node_get_use_count(graph, at) != 1 || (graph->nodes[at]->flags & GGML_TENSOR_FLAG_OUTPUT) != 0) return {};
  }
  if (!one_after_the_other) return {};
  return {.patches = patches, .weights = product->src[1], .last = copied};
}

bool overlap(const ggml_tensor* a, const ggml_tensor* b) {
  const auto* const x = static_cast<const char*>(a->data);
  const auto* const y = static_cast<const char*>(b->data);
  return x < y + ggml_nbytes(b) && y < x + ggml_nbytes(a);
}

// The sum of the convolutions that begin at node i, in one; the last node of it, or -1 if there is no such sum.
int embed_still_picture(const ggml_cgraph* graph, int i, KernelContext& context) {
  const Convolution first = convolution(graph, i);
  if (first.last < 0) return -1;
  const Convolution second = convolution(graph, next_computed(graph, first.last));
  const int at = second.last < 0 ? graph->n_nodes : next_computed(graph, second.last);
  if (at >= graph->n_nodes) return -1;
  const ggml_tensor* sum = graph->nodes[at];
  const bool of_both = sum->op == GGML_OP_ADD && sum->type == GGML_TYPE_F32 && ggml_is_contiguous(sum) &&
                       sum->src[0] == graph->nodes[first.last] && sum->src[1] == graph->nodes[second.last];
  const bool alike = first.patches->src[1] == second.patches->src[1] &&
                     ggml_are_same_shape(first.patches, second.patches) &&
                     ggml_are_same_shape(first.patches->src[0], second.patches->src[0]) &&
                     ggml_are_same_shape(first.weights, second.weights);
  if (!of_both || !alike || overlap(second.patches, sum)) return -1;
  const auto count = static_cast<std::size_t>(ggml_nelements(first.weights));
  const auto* const a = static_cast<const float*>(first.weights->data);
  const auto* const b = static_cast<const float*>(second.weights->data);
  context.summed_weights.resize(count);
  std::transform(a, a + count, b, context.summed_weights.begin(), [](float x, float y) { return x + y; });
  auto* const patches = static_cast<F16*>(second.patches->data);
  gather_patches(first.patches, patches, context.threads);
  const auto depth = static_cast<std::size_t>(first.weights->ne[0]);
  const auto columns = static_cast<std::size_t>(first.patches->ne[1] * first.patches->ne[2]);
  multiply_weights(
      {
          .a = context.summed_weights.data(),
          .b = patches,
          .out = static_cast<float*>(sum->data),
          .rows = static_cast<int>(first.weights->ne[1]),
          .columns = static_cast<int>(columns),
          .depth = static_cast<int>(depth),
          .a_stride = depth,
          .b_stride = depth,
          .out_stride = columns,
      },
      context);
  return at;
}

// Where one pixel lies between those of the table along one side.
struct Between {
  std::int64_t low;
  std::int64_t high;
  float share;  // of the higher one
};

Between between(std::int64_t pixel, std::int64_t pixels, std::int64_t table) {
  const auto steps = static_cast<float>(pixels - 1);
  const float scale = pixels > 1 && table > 1 ? steps / static_cast<float>(table - 1)
                                              : static_cast<float>(pixels) / static_cast<float>(table);
  const float at = static_cast<float>(pixel) / scale;
  const auto low = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(at)), 0, table - 1);
  return {low, std::min(low + 1, table - 1), std::clamp(at - static_cast<float>(low), 0.0F, 1.0F)};
}

// All channels of pixel (x, y).
void blend_pixel(const ggml_tensor* op, std::int64_t x, std::int64_t y, float* out) {
  const ggml_tensor* table = op->src[0];
  const Between h = between(x, op->ne[0], table->ne[0]);
  const Between v = between(y, op->ne[1], table->ne[1]);
  const auto at = [&](std::int64_t column, std::int64_t row) {
    return reinterpret_cast<const float*>(static_cast<const char*>(table->data) +
                                          static_cast<std::size_t>(column) * table->nb[0] +
                                          static_cast<std::size_t>(row) * table->nb[1]);
  };
  const float* const corners[4] = {at(h.low, v.low), at(h.high, v.low), at(h.low, v.high), at(h.high, v.high)};
  const float weights[4] = {(1 - h.share) * (1 - v.share), h.share * (1 - v.share), (1 - h.share) * v.share,
                            h.share * v.share};
  kernels::blend(corners, weights, out, static_cast<std::size_t>(op->ne[2]));
}

// The copy that puts the channels of node i beside each other, if no one else wants it; -1 if there is none.
int channels_last(const ggml_cgraph* graph, int i) {
  const ggml_tensor* op = graph->nodes[i];
  const int at = next_computed(graph, i);
  if (at != i + 2 || at >= graph->n_nodes || !ggml_node_has_n_uses(graph, i, 1)) return -1;
  const ggml_tensor* view = graph->nodes[i + 1];
  const ggml_tensor* copy = graph->nodes[at];
  const bool turned = view->op == GGML_OP_PERMUTE && view->src[0] == op && view->nb[0] == op->nb[2] &&
                      view->nb[1] == op->nb[0] && view->nb[2] == op->nb[1];
  return turned && copy->op == GGML_OP_CONT && copy->src[0] == view && copy->type == GGML_TYPE_F32 &&
                 ggml_is_contiguous(copy) && ggml_node_get_use_count(graph, i + 1) == 1
             ? at
             : -1;
}

}  // namespace

bool takes_patches(const ggml_tensor* op) {
  const ggml_tensor* weights = op->src[0];
  const ggml_tensor* picture = op->src[1];
  const int* p = op->op_params;  // steps, padding and dilation in width and height; two dimensions
  return op->type == GGML_TYPE_F16 && picture->type == GGML_TYPE_F32 && ggml_is_contiguous(picture) &&
         ggml_is_contiguous(op) && picture->ne[3] == 1 && p[0] == weights->ne[0] && p[1] == weights->ne[1] &&
         p[2] == 0 && p[3] == 0 && p[4] == 1 && p[5] == 1 && p[6] == 1;
}

int embed_patches(const ggml_cgraph* graph, int i, KernelContext& context) {
  const int last = embed_still_picture(graph, i, context);
  if (last >= 0) return last;
  const ggml_tensor* op = graph->nodes[i];
  gather_patches(op, static_cast<F16*>(op->data), context.threads);
  return i;
}

bool takes_interpolation(const ggml_tensor* op) {
  const ggml_tensor* table = op->src[0];
  return op->op_params[0] == (static_cast<int>(GGML_SCALE_MODE_BILINEAR) | GGML_SCALE_FLAG_ALIGN_CORNERS) &&
         table->type == GGML_TYPE_F32 && table->nb[2] == sizeof(float) && table->ne[2] == op->ne[2] &&
         table->ne[3] == 1 && op->ne[3] == 1 && ggml_is_contiguous(op);
}

int interpolate(const ggml_cgraph* graph, int i, const KernelContext& context) {
  const ggml_tensor* op = graph->nodes[i];
  const int copied = channels_last(graph, i);
  const std::int64_t pixels = op->ne[0] * op->ne[1];
  const std::int64_t channels = op->ne[2];
  if (copied >= 0) {
    auto* const out = static_cast<float*>(graph->nodes[copied]->data);
#pragma omp parallel for schedule(static) num_threads(context.threads)
    for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
      blend_pixel(op, pixel % op->ne[0], pixel / op->ne[0], out + pixel * channels);
    }
    return copied;
  }
  auto* const out = static_cast<float*>(op->data);
  std::vector<float> one(static_cast<std::size_t>(channels));
  for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
    blend_pixel(op, pixel % op->ne[0], pixel / op->ne[0], one.data());
    for (std::int64_t c = 0; c < channels; ++c) out[c * pixels + pixel] = one[static_cast<std::size_t>(c)];
  }
  return i;
}

}  // namespace escribano::engine
