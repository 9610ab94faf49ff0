#include "engine/plan/memory_need.h"

#include <limits>
#include <utility>

#include <gtest/gtest.h>

namespace escribano::engine {
namespace {

constexpr std::uint64_t kMiB = 1U << 20;

// The shape of Qwen3-VL-2B in 16 bit, imported.
constexpr ModelSizes k2B = {.weights_bytes = 3'444'174'848,
                            .projector_bytes = 822'540'384,
                            .n_layer = 28,
                            .n_embd = 2048,
                            .n_ff = 6144,
                            .n_head_kv = 8,
                            .head_size = 128,
                            .vocab_size = 151'936,
                            .deepstack_count = 3,
                            .vision_width = 1024,
                            .vision_ff = 4096,
                            .vision_heads = 16,
                            .vision_layers = 24,
                            .patch_px = 16,
                            .merge = 2};

MemoryUse use(int slots, int context_tokens, int image_tokens) {
  return {.shape = {.slots = slots, .context_tokens = context_tokens}, .image_tokens = image_tokens, .frames = 4};
}

// As docs/models.md has them: what llama.cpp says of its buffers, and the peak of the whole process.
TEST(MemoryNeed, AgreesWithWhatWasMeasured) {
  const MemoryNeed one = memory_need(k2B, use(1, 768, 252));
  EXPECT_EQ(one.context_bytes, 168 * kMiB);
  EXPECT_EQ(memory_need(k2B, use(3, 4864, 880)).context_bytes, 1596 * kMiB);
  const auto near = [](const MemoryNeed& need, double measured_mib) {
    const double share = static_cast<double>(need.total_bytes()) / (measured_mib * kMiB);
    EXPECT_GT(share, 0.95);
    EXPECT_LT(share, 1.15);
  };
  near(one, 4450);
  near(memory_need(k2B, use(3, 4864, 880)), 6181);
  near(memory_need(k2B, use(3, 4864, 4096)), 6181);
}

TEST(MemoryNeed, WindowsOfTheImageTakeAMaskForEachPairOfPatches) {
  ModelSizes windowed = k2B;
  windowed.vision_windows = true;
  const auto mask_bytes = [&](int image_tokens) {
    return memory_need(windowed, use(1, 768, image_tokens)).compute_bytes -
           memory_need(k2B, use(1, 768, image_tokens)).compute_bytes;
  };
  EXPECT_EQ(mask_bytes(252), 1008U * 1008 * 8);
  EXPECT_EQ(mask_bytes(4096), 16'384ULL * 16'384 * 10);
}

TEST(MemoryNeed, OneSequenceTakesAsMuchAsTwo) {
  EXPECT_EQ(memory_need(k2B, use(1, 2048, 880)).total_bytes(), memory_need(k2B, use(2, 2048, 880)).total_bytes());
  EXPECT_GT(memory_need(k2B, use(3, 2048, 880)).total_bytes(), memory_need(k2B, use(2, 2048, 880)).total_bytes());
}

TEST(MemoryNeed, KeysAndValuesOfPatchesAreKeptInHalfPrecisionFromFlashAttentionOn) {
  for (const auto& [tokens, bytes] : {std::pair(880U, 2U), std::pair(252U, 4U)}) {
    MemoryUse kept = use(2, 2048, static_cast<int>(tokens));
    const std::uint64_t without = memory_need(k2B, kept).total_bytes();
    kept.keeps_patches = true;
    const std::uint64_t layers = std::uint64_t{24} * tokens * 4 * 1024 * 2 * bytes;
    EXPECT_EQ(memory_need(k2B, kept).total_bytes() - without, layers + std::uint64_t{tokens} * 4 * 2048 * 4);
  }
}

TEST(MemoryNeed, TextNeedsNoVisionTower) {
  MemoryUse text = use(1, 8192, 0);
  text.cache_bytes = kMiB;
  const MemoryNeed need = memory_need(k2B, text);
  EXPECT_EQ(need.weights_bytes, k2B.weights_bytes);
  EXPECT_EQ(need.cache_bytes, 0);
}

TEST(MemoryNeed, CachesAreNoLargerThanTheFramesThatCome) {
  MemoryUse some = use(1, 2048, 100);
  some.cache_bytes = 1000 * kMiB;
  EXPECT_EQ(memory_need(k2B, some).cache_bytes, 4U * 100 * 8192 * 4);
  some.frames.reset();
  EXPECT_EQ(memory_need(k2B, some).cache_bytes, 1000 * kMiB);
}

TEST(MemoryNeed, HeadersThatLieDoNotWrapAround) {
  constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
  ModelSizes model = k2B;
  model.n_layer = model.n_embd = model.n_ff = model.n_head_kv = model.head_size = most;
  model.vision_width = model.vision_heads = model.patch_px = model.merge = most;
  EXPECT_EQ(memory_need(model, use(255, 1 << 26, 65536)).total_bytes(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_GT(memory_need({}, use(1, 256, 64)).total_bytes(), 0);
}

TEST(SlotsThatFit, AreAsManyAsTheMemoryAllows) {
  const MemoryUse wanted = use(8, 2048, 880);
  const auto needed = [&](int slots) { return memory_need(k2B, use(slots, 2048, 880)).total_bytes(); };
  EXPECT_EQ(slots_that_fit(k2B, wanted, needed(8)), 8);
  EXPECT_EQ(slots_that_fit(k2B, wanted, needed(8) - 1), 7);
  EXPECT_EQ(slots_that_fit(k2B, wanted, needed(3)), 3);
  EXPECT_EQ(slots_that_fit(k2B, wanted, needed(1)), 2);
  EXPECT_EQ(slots_that_fit(k2B, use(1, 2048, 880), needed(1)), 1);
  EXPECT_EQ(slots_that_fit(k2B, wanted, needed(1) - 1), std::nullopt);
}

TEST(LimitsThatFit, NoShapeTheyAllowNeedsMore) {
  const MemoryUse normal = use(4, 2816, 880);
  const ShapeLimits wanted = {.normal = normal.shape, .max_context_tokens = 32'768, .max_total_tokens = 32'768};
  const auto needed = [&](Shape shape) {
    MemoryUse changed = normal;
    changed.shape = shape;
    return memory_need(k2B, changed).total_bytes();
  };
  for (const std::uint64_t spare_mib : {0, 100, 1000, 3000, 20'000}) {
    const std::uint64_t available = needed(normal.shape) + spare_mib * kMiB;
    const ShapeLimits limits = limits_that_fit(k2B, normal, wanted, available);
    EXPECT_EQ(limits.problem(), "");
    for (int tokens = 256; tokens <= 40'000; tokens += 256) {
      EXPECT_LE(needed(shape_for(tokens, limits)), available) << spare_mib << " MiB to spare, " << tokens << " tokens";
    }
  }
  const ShapeLimits frames = {
      .normal = normal.shape, .max_context_tokens = 5632, .max_total_tokens = 4 * 5632, .keep_larger = true};
  for (const int slots : {2, 3, 4}) {
    const std::uint64_t available = needed({.slots = slots, .context_tokens = 5632});
    if (available < needed(normal.shape)) continue;
    const ShapeLimits limits = limits_that_fit(k2B, normal, frames, available);
    EXPECT_EQ(limits.problem(), "");
    EXPECT_EQ(shape_for(5632, limits), (Shape{.slots = slots, .context_tokens = 5632})) << "no slot less than fits";
    for (int tokens = 256; tokens <= 5632; tokens += 256) {
      EXPECT_LE(needed(shape_for(tokens, limits)), available) << slots << " slots fit, " << tokens << " tokens";
    }
  }
  const ShapeLimits all = limits_that_fit(k2B, normal, wanted, needed(normal.shape) + 20'000 * kMiB);
  EXPECT_EQ(all.max_context_tokens, 32'768);
  EXPECT_EQ(all.max_total_tokens, 32'768);
  const ShapeLimits fixed = {.normal = normal.shape};
  EXPECT_EQ(limits_that_fit(k2B, normal, fixed, 0).max_total_tokens, 0);
}

}  // namespace
}  // namespace escribano::engine
