#pragma once

struct ggml_cgraph;
struct ggml_tensor;

namespace escribano::engine {

struct KernelContext;

// What a vision tower does before its first layer: patches are gathered from the picture (IM2COL) and multiplied, and a
// table of learned positions is stretched to its size (UPSCALE).

// Whether the kernels can gather the patches that `op` asks for: such as lie beside each other. Pure.
bool takes_patches(const ggml_tensor* op);
// Gathers the patches of node i. Where two products of the same picture follow, whose sum is all that is wanted (a still
// picture is two equal frames to a convolution over time), they are computed as one, by the sum of their weights. Returns the
// last node that was computed. Throws std::bad_alloc.
int embed_patches(const ggml_cgraph* graph, int i, KernelContext& context);

// Whether the kernels can compute `op`: bilinear, corner to corner, channels beside each other. Pure.
bool takes_interpolation(const ggml_tensor* op);
// Computes node i, and the copy behind it that puts channels beside each other again. Returns the last node that was
// computed. Throws std::bad_alloc.
int interpolate(const ggml_cgraph* graph, int i, const KernelContext& context);

}  // namespace escribano::engine
