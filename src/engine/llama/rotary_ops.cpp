#include "engine/llama/rotary_ops.h"

#include <cmath>
#include <cstring>
#include <utility>

#include <ggml.h>

#include "engine/kernels/kernels.h"
#include "engine/llama/copy_ops.h"
#include "engine/llama/graph_nodes.h"

namespace escribano::engine {
namespace {

// Of ggml's parameters of rotary positions.
struct Rotary {
  explicit Rotary(const ggml_tensor* op)
      : base(float_param(op, 5)), scale(float_param(op, 6)), ext(float_param(op, 7)) {
    dimensions = op->op_params[1];
    mode = op->op_params[2];
    magnitude = float_param(op, 8);
    std::memcpy(sections, op->op_params + 11, sizeof sections);
    offset = op->op_params[15];
  }
  int dimensions;
  int mode;
  float base, scale, ext, magnitude = 1;
  int sections[4] = {};
  int offset;
};

// Which of the four positions of a token turns pair i, and how often the angle was scaled down by then. As in ggml: the
// interleaved kind deals pairs out to time, height and width in turn, the kind of vision towers gives each a stretch of
// its own, in which it begins anew.
struct PairRule {
  int position;
  int power;
};
PairRule pair_rule(const Rotary& r, int i) {
  const int* s = r.sections;
  const int sector = i % (s[0] + s[1] + s[2] + s[3]);
  if (r.mode == GGML_ROPE_TYPE_IMROPE) {
    const int kind = sector % 3;
    return {sector < 3 * s[kind] ? kind : 3, i};
  }
  int position = 0;
  int begin = 0;
  while (position < 3 && sector >= begin + s[position]) begin += s[position++];
  return {position, sector - begin};
}

const RotaryAngles& rotary_angles(const ggml_tensor* op, RotaryAngles& angles) {
  const ggml_tensor* positions = op->src[1];
  const auto* const of_tokens = static_cast<const std::int32_t*>(positions->data);
  std::vector<std::int32_t> key(op->op_params, op->op_params + GGML_MAX_OP_PARAMS / sizeof(std::int32_t));
  key.insert(key.end(), of_tokens, of_tokens + positions->ne[0]);
  if (key == angles.key) return angles;
  const Rotary r(op);
  const auto pairs = static_cast<int>(op->ne[0] / 2);
  const auto tokens = static_cast<std::size_t>(op->ne[2]);
  const float step = std::pow(r.base, -2.0F / static_cast<float>(r.dimensions));
  angles.key.clear();  // should memory run out
  angles.cosines.resize(tokens * static_cast<std::size_t>(pairs));
  angles.sines.resize(angles.cosines.size());
  for (int i = 0; i < pairs; ++i) {
    const PairRule rule = pair_rule(r, i);
    for (std::size_t t = 0; t < tokens; ++t) {
      auto angle = static_cast<float>(of_tokens[tokens * static_cast<std::size_t>(rule.position) + t]);
      for (int k = 0; k < rule.power; ++k) angle *= step;  // rounded as often as in ggml
      const std::size_t at = t * static_cast<std::size_t>(pairs) + static_cast<std::size_t>(i);
      angles.cosines[at] = std::cos(angle * r.scale) * r.magnitude;
      angles.sines[at] = std::sin(angle * r.scale) * r.magnitude;
    }
  }
  angles.key = std::move(key);
  return angles;
}

// The rows of `all` that belong to the patches that were chosen, `pairs` angles each.
const RotaryAngles& chosen_angles(const RotaryAngles& all, std::size_t pairs, KernelContext& context) {
  if (context.use.patches == nullptr || !context.use.patches->compact) return all;
  RotaryAngles& chosen = context.chosen_angles;
  chosen.cosines.clear();
  chosen.sines.clear();
  for (const std::int32_t row : context.use.patches->rows) {
    const auto at = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(row) * pairs);
    const auto end = at + static_cast<std::ptrdiff_t>(pairs);
    chosen.cosines.insert(chosen.cosines.end(), all.cosines.begin() + at, all.cosines.begin() + end);
    chosen.sines.insert(chosen.sines.end(), all.sines.begin() + at, all.sines.begin() + end);
  }
  return chosen;
}

}  // namespace

// Input: [width, heads, tokens]; positions: four for each token, those of one kind beside each other. Heads that are
// turned as a whole, without YaRN: what Qwen3-VL does in both of its halves.
bool takes_rotation(const ggml_tensor* op) {
  const ggml_tensor* x = op->src[0];
  const Rotary r(op);
  const bool vision = r.mode == GGML_ROPE_TYPE_VISION;
  const int turned = vision ? 2 * r.dimensions : r.dimensions;
  return (vision || r.mode == GGML_ROPE_TYPE_IMROPE) && turned == x->ne[0] && r.offset == 0 && r.ext == 0 &&
         op->src[2] == nullptr && x->type == GGML_TYPE_F32 && rows_are_contiguous(x) && rows_are_contiguous(op) &&
         x->ne[3] == 1 && is_small(x->ne[2]) && ggml_is_contiguous(op->src[1]) && op->src[1]->ne[0] == 4 * x->ne[2] &&
         r.sections[0] > 0 && r.sections[1] > 0;
}

void rotate(const ggml_tensor* op, KernelContext& context) {
  const ggml_tensor* x = op->src[0];
  const RotaryAngles& angles =
      chosen_angles(rotary_angles(op, context.angles), static_cast<std::size_t>(x->ne[0] / 2), context);
  kernels::rotate(
      {
          .x = static_cast<const float*>(x->data),
          .out = static_cast<float*>(op->data),
          .cosines = angles.cosines.data(),
          .sines = angles.sines.data(),
          .tokens = static_cast<int>(computed_rows(x->ne[2], context)),
          .heads = static_cast<int>(x->ne[1]),
          .pairs = static_cast<int>(x->ne[0] / 2),
          .x_stride = matrix_stride(x),
          .out_stride = matrix_stride(op),
          .x_step = row_stride(x),
          .out_step = row_stride(op),
      },
      context.threads_for(ggml_nelements(op)));
}

}  // namespace escribano::engine
