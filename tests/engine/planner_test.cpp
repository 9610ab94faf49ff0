#include "engine/plan/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace escribano::engine {
namespace {

using Action = StepPlan::Action;
using ::testing::ElementsAre;

TEST(PlanStep, WaitsWhenThereIsNothing) { EXPECT_EQ(plan_step({.slots = 4}).action, Action::wait); }

TEST(PlanStep, FillsTheLowestFreeSlotBeforeDecoding) {
  const EngineState state = {.slots = 4, .ready = 3, .running = {{.slot = 0}, {.slot = 2}}};
  EXPECT_EQ(plan_step(state), (StepPlan{.action = Action::admit, .slot = 1}));
}

TEST(PlanStep, DecodesWhenAllSlotsAreTaken) {
  const EngineState state = {.slots = 2, .ready = 5, .running = {{.slot = 0}, {.slot = 1}}};
  EXPECT_EQ(plan_step(state).action, Action::decode);
}

TEST(PlanStep, DecodesWhenNobodyWaitsForTheFreeSlots) {
  const EngineState state = {.slots = 4, .ready = 0, .running = {{.slot = 3}}};
  EXPECT_EQ(plan_step(state).action, Action::decode);
}

TEST(PlanStep, FinishesThePromptOfOneSequenceBeforeAdmittingAnother) {
  EngineState state = {
      .slots = 4, .ready = 2, .running = {{.slot = 0}, {.slot = 1, .images_to_encode = 1, .pieces_to_prefill = 2}}};
  EXPECT_EQ(plan_step(state), (StepPlan{.action = Action::encode, .sequence = 1}));
  state.running[1].images_to_encode = 0;
  EXPECT_EQ(plan_step(state), (StepPlan{.action = Action::prefill, .sequence = 1}));
  state.running[1].pieces_to_prefill = 0;
  EXPECT_EQ(plan_step(state), (StepPlan{.action = Action::admit, .slot = 2}));
}

TEST(DecodeRows, AreTheSequencesThemselvesWhenTheSlotsAreFull) {
  const int slots[] = {0, 1, 2};
  EXPECT_THAT(decode_rows(slots, 3), ElementsAre(PlannedRow{0, 0}, PlannedRow{1, 1}, PlannedRow{2, 2}));
}

TEST(DecodeRows, ALoneSequenceGetsOnePaddingRow) {
  const int first[] = {0};
  EXPECT_THAT(decode_rows(first, 2), ElementsAre(PlannedRow{0, 0}, PlannedRow{1, -1}));
  const int last[] = {3};
  EXPECT_THAT(decode_rows(last, 4), ElementsAre(PlannedRow{2, -1}, PlannedRow{3, 0}));
}

TEST(DecodeRows, GapsBetweenSequencesArePadded) {
  const int slots[] = {1, 4};
  EXPECT_THAT(decode_rows(slots, 8),
              ElementsAre(PlannedRow{1, 0}, PlannedRow{2, -1}, PlannedRow{3, -1}, PlannedRow{4, 1}));
}

TEST(DecodeRows, WithDraftsEverySlotGetsTheSameNumberAndALoneOneNeedsNoPadding) {
  const int alone[] = {3};
  EXPECT_THAT(decode_rows(alone, 4, 3), ElementsAre(PlannedRow{3, 0, 0}, PlannedRow{3, 0, 1}, PlannedRow{3, 0, 2}));
  const int gap[] = {0, 2};
  EXPECT_THAT(decode_rows(gap, 4, 2), ElementsAre(PlannedRow{0, 0, 0}, PlannedRow{0, 0, 1}, PlannedRow{1, -1, 0},
                                                  PlannedRow{1, -1, 1}, PlannedRow{2, 1, 0}, PlannedRow{2, 1, 1}));
}

}  // namespace
}  // namespace escribano::engine
