#include "engine/plan/shape.h"

#include <vector>

#include <gtest/gtest.h>

namespace escribano::engine {
namespace {

using Action = ShapePlan::Action;

constexpr ShapeLimits kLimits = {
    .normal = {.slots = 4, .context_tokens = 2048}, .max_context_tokens = 32'000, .max_total_tokens = 20'000};

TEST(ShapeFor, WhatTheNormalShapeHoldsGetsIt) {
  EXPECT_EQ(shape_for(1, kLimits), kLimits.normal);
  EXPECT_EQ(shape_for(2048, kLimits), kLimits.normal);
}

TEST(ShapeFor, MoreGetsTheNextMultipleOf256AndAsManySlotsAsTheTotalAllows) {
  EXPECT_EQ(shape_for(2049, kLimits), (Shape{.slots = 4, .context_tokens = 2304}));
  EXPECT_EQ(shape_for(4864, kLimits), (Shape{.slots = 4, .context_tokens = 4864}));
  EXPECT_EQ(shape_for(5120, kLimits), (Shape{.slots = 3, .context_tokens = 5120}));
  EXPECT_EQ(shape_for(7000, kLimits), (Shape{.slots = 2, .context_tokens = 7168}));
  EXPECT_EQ(shape_for(15'000, kLimits), (Shape{.slots = 1, .context_tokens = 15'104}));
}

TEST(ShapeFor, NothingIsLargerThanTheLimitsAllow) {
  EXPECT_EQ(kLimits.largest_context_tokens(), 19'968) << "the total, in multiples of 256";
  EXPECT_EQ(shape_for(1'000'000, kLimits), (Shape{.slots = 1, .context_tokens = 19'968}));
  ShapeLimits trained = kLimits;
  trained.max_context_tokens = 4096;
  EXPECT_EQ(shape_for(1'000'000, trained), (Shape{.slots = 4, .context_tokens = 4096}));
  trained.max_context_tokens = 2100;
  EXPECT_EQ(trained.largest_context_tokens(), 2048) << "never less than the normal context";
}

TEST(ShapeLimits, ThatContradictEachOtherAreNamed) {
  EXPECT_EQ(kLimits.problem(), "");
  EXPECT_EQ(ShapeLimits{}.problem(), "") << "a fixed shape has no limits";
  ShapeLimits limits = kLimits;
  limits.max_total_tokens = 8191;
  EXPECT_NE(limits.problem().find("8191"), std::string::npos);
  limits = kLimits;
  limits.max_context_tokens = 2047;
  EXPECT_NE(limits.problem().find("2047"), std::string::npos);
  limits = kLimits;
  limits.normal.slots = 256;
  EXPECT_NE(limits.problem().find("256"), std::string::npos);
}

TEST(PlanShape, AFixedShapeIsNeverChanged) {
  const ShapeLimits fixed = {.normal = {.slots = 1, .context_tokens = 512}};
  EXPECT_EQ(plan_shape({.present = fixed.normal, .needed_tokens = 9999}, fixed).action, Action::admit);
}

TEST(PlanShape, AShortPromptIsAdmittedAtOnce) {
  EXPECT_EQ(plan_shape({.present = kLimits.normal, .needed_tokens = 2048}, kLimits).action, Action::admit);
  EXPECT_EQ(
      plan_shape({.present = kLimits.normal, .running = 3, .longest_running_tokens = 9, .needed_tokens = 9}, kLimits)
          .action,
      Action::admit);
}

TEST(PlanShape, ALongPromptWaitsForWhatRunsAndIsGivenItsShapeThen) {
  ShapeState state = {.present = kLimits.normal, .running = 1, .longest_running_tokens = 900, .needed_tokens = 7000};
  EXPECT_EQ(plan_shape(state, kLimits).action, Action::wait);
  state.running = 0;
  state.longest_running_tokens = 0;
  EXPECT_EQ(plan_shape(state, kLimits),
            (ShapePlan{.action = Action::reshape, .shape = {.slots = 2, .context_tokens = 7168}}));
}

TEST(PlanShape, BesideALongPromptOthersThatFitAreAdmitted) {
  ShapeState state = {.present = {.slots = 2, .context_tokens = 7168},
                      .running = 1,
                      .longest_running_tokens = 7000,
                      .needed_tokens = 500};
  EXPECT_EQ(plan_shape(state, kLimits).action, Action::admit) << "a short one";
  state.needed_tokens = 7168;
  EXPECT_EQ(plan_shape(state, kLimits).action, Action::admit) << "another long one";
  state.needed_tokens = 7169;
  EXPECT_EQ(plan_shape(state, kLimits).action, Action::wait) << "a longer one";
}

TEST(PlanShape, WhenOnlyShortPromptsAreLeftTheNormalShapeComesBack) {
  ShapeState state = {.present = {.slots = 2, .context_tokens = 7168},
                      .running = 1,
                      .longest_running_tokens = 500,
                      .needed_tokens = 500};
  EXPECT_EQ(plan_shape(state, kLimits).action, Action::wait);
  state.running = 0;
  state.longest_running_tokens = 0;
  EXPECT_EQ(plan_shape(state, kLimits), (ShapePlan{.action = Action::reshape, .shape = kLimits.normal}));
  state.needed_tokens = 3000;
  EXPECT_EQ(plan_shape(state, kLimits).action, Action::admit)
      << "no change for what fits and would not fit the normal one";
}

// For frames: all slots may have the largest context.
constexpr ShapeLimits kFrames = {.normal = {.slots = 4, .context_tokens = 2048},
                                 .max_context_tokens = 5376,
                                 .max_total_tokens = 4 * 5376,
                                 .keep_larger = true};

TEST(PlanShape, ALargerContextThatCostsNoSlotIsKept) {
  ShapeState state = {.present = kFrames.normal, .needed_tokens = 3200};
  EXPECT_EQ(plan_shape(state, kFrames),
            (ShapePlan{.action = Action::reshape, .shape = {.slots = 4, .context_tokens = 3328}}));
  state.present.context_tokens = 3328;
  state.needed_tokens = 100;
  EXPECT_EQ(plan_shape(state, kFrames).action, Action::admit);
}

TEST(PlanShape, AContextThatIsKeptGrowsByAQuarterAtLeastAsFarAsTheLimit) {
  Shape shape = kFrames.normal;
  std::vector<int> sizes;
  for (int needed = 1500; needed <= kFrames.max_context_tokens; ++needed) {
    const ShapePlan plan = plan_shape({.present = shape, .needed_tokens = needed}, kFrames);
    if (plan.action != Action::reshape) continue;
    shape = plan.shape;
    EXPECT_EQ(shape.slots, 4);
    sizes.push_back(shape.context_tokens);
  }
  EXPECT_EQ(sizes, (std::vector{2560, 3328, 4352, 5376}));
}

TEST(PlanShape, WhereSlotsWouldBeLostItGrowsOnlyAsFarAsNeededAndGoesBack) {
  ShapeLimits limits = kFrames;
  limits.max_total_tokens = 4 * 2304 + 200;
  ShapeState state = {.present = kFrames.normal, .needed_tokens = 2049};
  EXPECT_EQ(plan_shape(state, limits).shape, (Shape{.slots = 4, .context_tokens = 2304})) << "less than a quarter";
  state.needed_tokens = 2400;
  EXPECT_EQ(plan_shape(state, limits).shape, (Shape{.slots = 3, .context_tokens = 2560}));
  state.present = {.slots = 3, .context_tokens = 2560};
  state.needed_tokens = 2600;
  EXPECT_EQ(plan_shape(state, limits).shape, (Shape{.slots = 3, .context_tokens = 2816}));
  state.needed_tokens = 2048;
  EXPECT_EQ(plan_shape(state, limits), (ShapePlan{.action = Action::reshape, .shape = limits.normal}));
}

TEST(PlanShape, WithoutAnyContextOneIsMade) {
  EXPECT_EQ(plan_shape({.needed_tokens = 100}, kLimits),
            (ShapePlan{.action = Action::reshape, .shape = kLimits.normal}));
}

}  // namespace
}  // namespace escribano::engine
