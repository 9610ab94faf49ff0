#include "engine/plan/memory_need.h"

#include <algorithm>
#include <initializer_list>
#include <limits>

#include "engine/backend.h"

namespace escribano::engine {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kMiB = 1U << 20;
constexpr std::uint64_t kFloat = 4;
constexpr std::uint64_t kHalf = 2;

// Headers say what they like: no sum or product may wrap around.
std::uint64_t product(std::initializer_list<std::uint64_t> factors) {
  std::uint64_t result = 1;
  for (const std::uint64_t factor : factors) {
    if (factor != 0 && result > kMost / factor) return kMost;
    result *= factor;
  }
  return result;
}
std::uint64_t sum(std::initializer_list<std::uint64_t> terms) {
  std::uint64_t result = 0;
  for (const std::uint64_t term : terms) result = term > kMost - result ? kMost : result + term;
  return result;
}

// The program with its libraries, and what its threads and their heaps take.
constexpr std::uint64_t kProgramBytes = 40 * kMiB;
// Texts, hash maps and merges of the tokenizer, for each token, ours and llama.cpp's.
constexpr std::uint64_t kTokenBytes = 300;
// libmtmd makes an empty picture of that many tokens a side, twice, to look at the graph of it.
constexpr std::uint64_t kDummyTokens = 46;
// The largest picture that may come is counted once, for the vision tower; those that wait are taken to be ordinary ones
// (a 1280x720 frame has 880 tokens).
constexpr std::uint64_t kOrdinaryTokens = 1280;

std::uint64_t tokens_of(const Shape& shape) {
  return product(
      {static_cast<std::uint64_t>(std::max(2, shape.slots)), static_cast<std::uint64_t>(shape.context_tokens)});
}

// Of one token: what a DeepStack model adds to its first layers comes beside its embedding.
std::uint64_t input_width(const ModelSizes& model) { return product({sum({1, model.deepstack_count}), model.n_embd}); }

// Buffers of the language model's graph. What is alive at its widest place was read off llama.cpp's own figures for the
// demo model and the 2B shape, which it meets to the megabyte: input and its copy, three rows of the feed-forward layer,
// two of the stream. Then the mask of the attention, and the logits of a step, once in the graph and once handed out.
std::uint64_t text_compute(const ModelSizes& model, const MemoryUse& use) {
  const std::uint64_t n_ff = model.n_ff != 0 ? model.n_ff : product({4, model.n_embd});
  const std::uint64_t row = sum({product({2, input_width(model)}), product({3, n_ff}), product({2, model.n_embd})});
  const std::uint64_t rows = static_cast<std::uint64_t>(std::max(kUbatchTokens, use.shape.slots));
  const std::uint64_t mask = product({rows, static_cast<std::uint64_t>(use.shape.context_tokens), kHalf});
  const std::uint64_t outputs = static_cast<std::uint64_t>(std::max(kMaxStepRows, use.shape.slots));
  const std::uint64_t logits = product({outputs, model.vocab_size, kFloat});
  const std::uint64_t step = sum({product({outputs, row, kFloat}), logits});
  return sum({std::max(product({rows, row, kFloat}), step), mask, logits});
}

// Buffers of the vision tower's graph, from the same source: rows of the stream, of the feed-forward layer, and the
// features of all levels. Attention that is written out has a score for each pair of patches and head. The mask of layers
// that look at windows has one for each pair, in libmtmd and in the graph, and for flash attention once more.
std::uint64_t vision_compute(const ModelSizes& model, std::uint64_t image_tokens) {
  const std::uint64_t merged = std::max<std::uint64_t>(1, product({model.merge, model.merge}));
  const std::uint64_t patches = product({image_tokens, merged});
  const std::uint64_t row =
      sum({product({4, model.vision_width}), model.vision_ff, product({3, input_width(model)}) / (2 * merged)});
  const bool exact = image_tokens <= static_cast<std::uint64_t>(kExactAttentionTokens);
  const std::uint64_t scores = exact ? product({model.vision_heads, patches, patches, kFloat}) : 0;
  const std::uint64_t mask = model.vision_windows ? product({patches, patches, 2 * kFloat + (exact ? 0 : kHalf)}) : 0;
  return sum({product({patches, row, kFloat}), scores, mask});
}

// Keys and values of every layer and the embedding. They are floats where attention is written out.
std::uint64_t kept_patches(const ModelSizes& model, std::uint64_t image_tokens) {
  const bool exact = image_tokens <= static_cast<std::uint64_t>(kExactAttentionTokens);
  const std::uint64_t layer = product({image_tokens, model.merge, model.merge, model.vision_width, 2});
  return sum({product({model.vision_layers, layer, exact ? kFloat : kHalf}),
              product({image_tokens, input_width(model), kFloat})});
}

// Of context, in any shape that has neither more slots nor more tokens a slot than `largest`.
std::uint64_t tokens_that_fit(const ModelSizes& model, const MemoryUse& largest, std::uint64_t available_bytes) {
  const MemoryNeed need = memory_need(model, largest);
  const std::uint64_t beside = need.total_bytes() - need.context_bytes;
  const std::uint64_t left = available_bytes - std::min(available_bytes, beside);
  const std::uint64_t token_bytes = need.context_bytes / std::max<std::uint64_t>(1, tokens_of(largest.shape));
  return left / std::max<std::uint64_t>(1, token_bytes);
}

// Three bytes a pixel as it is, and three floats as the vision tower takes it.
std::uint64_t picture_bytes(const ModelSizes& model, std::uint64_t image_tokens) {
  const std::uint64_t side = product({model.patch_px, model.merge});
  return product({image_tokens, side, side, 3 * (1 + kFloat)});
}

}  // namespace

std::uint64_t MemoryNeed::total_bytes() const noexcept {
  return sum({weights_bytes, context_bytes, compute_bytes, cache_bytes, program_bytes});
}

MemoryNeed memory_need(const ModelSizes& model, const MemoryUse& use) {
  MemoryNeed need;
  const auto image_tokens = static_cast<std::uint64_t>(std::max(0, use.image_tokens));
  const bool vision = image_tokens > 0;
  need.weights_bytes = sum({model.weights_bytes, vision ? model.projector_bytes : 0});
  need.context_bytes = product({tokens_of(use.shape), model.n_layer, model.n_head_kv, model.head_size, 2 * kHalf});
  need.compute_bytes = text_compute(model, use);
  need.program_bytes = sum({kProgramBytes, product({model.vocab_size, kTokenBytes})});
  if (!vision) return need;
  const std::uint64_t embedding = product({image_tokens, input_width(model), kFloat});
  const std::uint64_t pictures = std::min<std::uint64_t>(use.frames.value_or(kImagesAhead), kImagesAhead);
  // The embedding that is being made is there twice: libmtmd's and ours.
  need.compute_bytes = sum({need.compute_bytes, vision_compute(model, image_tokens),
                            product({pictures, picture_bytes(model, std::min(image_tokens, kOrdinaryTokens))}),
                            product({2, embedding})});
  need.cache_bytes = use.frames ? std::min(use.cache_bytes, product({*use.frames, embedding})) : use.cache_bytes;
  if (use.keeps_patches) need.cache_bytes = sum({need.cache_bytes, kept_patches(model, image_tokens)});
  // While it loads, there is the dummy picture and no context yet.
  const std::uint64_t side = product({kDummyTokens, model.merge, model.patch_px});
  const std::uint64_t dummy = product({2, side, side, 3, kFloat});
  const std::uint64_t later = sum({need.context_bytes, need.compute_bytes, need.cache_bytes});
  if (dummy > later) need.compute_bytes += dummy - later;
  return need;
}

std::optional<int> slots_that_fit(const ModelSizes& model, const MemoryUse& use, std::uint64_t available_bytes) {
  MemoryUse tried = use;
  for (tried.shape.slots = use.shape.slots; tried.shape.slots >= 1; --tried.shape.slots) {
    if (memory_need(model, tried).total_bytes() <= available_bytes) return tried.shape.slots;
  }
  return std::nullopt;
}

ShapeLimits limits_that_fit(const ModelSizes& model, MemoryUse use, ShapeLimits limits, std::uint64_t available_bytes) {
  if (limits.max_total_tokens == 0) return limits;
  const auto fits = [&](int context_tokens) {
    use.shape = {.slots = 1, .context_tokens = context_tokens};
    return memory_need(model, use).total_bytes() <= available_bytes;
  };
  constexpr int kStepTokens = 256;
  int longest = limits.max_context_tokens;
  while (longest > limits.normal.context_tokens && !fits(longest)) longest -= std::min(kStepTokens, longest);
  limits.max_context_tokens = std::max(longest, limits.normal.context_tokens);
  use.shape = {.slots = limits.normal.slots, .context_tokens = limits.max_context_tokens};
  const std::uint64_t fitting = tokens_that_fit(model, use, available_bytes);
  if (fitting >= static_cast<std::uint64_t>(limits.max_total_tokens)) return limits;
  // A single sequence takes the tokens of two: so many are known to fit as well.
  const int known = std::max(2 * limits.max_context_tokens, limits.normal.slots * limits.normal.context_tokens);
  limits.max_total_tokens = std::min(limits.max_total_tokens, std::max(known, static_cast<int>(fitting)));
  return limits;
}

}  // namespace escribano::engine
