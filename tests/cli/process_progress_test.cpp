#include "cli/process_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace escribano::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(StepLine, SamplingShowsTheTimeOfTheRecordingAndHowMuchFasterItIs) {
  const std::string line = step_line({.step = Step::sample, .done = 600, .total = 3660}, 2, 80);
  EXPECT_THAT(line, StartsWith("sampling   ["));
  EXPECT_THAT(line, HasSubstr("] 10:00 of 1:01:00  300x real time  10 s left"));
  EXPECT_LT(line.size(), 80u);
}

TEST(StepLine, DescribingShowsFramesASecondAndTheTimeLeft) {
  EXPECT_THAT(step_line({.step = Step::describe, .done = 10, .total = 40}, 5, 80),
              EndsWith("] 10/40  2.0 frames/s  15 s left"));
  EXPECT_THAT(step_line({.step = Step::describe, .done = 1, .total = 40}, 8, 80),
              EndsWith("] 1/40  8.0 s/frame  5 min 12 s left"));
  EXPECT_THAT(step_line({.step = Step::describe, .done = 0, .total = 40}, 0, 80), EndsWith("] 0/40"));
}

TEST(StepLine, FitsAnyTerminal) {
  for (int columns = 0; columns <= 200; ++columns) {
    for (const Step step : {Step::sample, Step::describe, Step::segment, Step::summarise}) {
      const std::string line = step_line({.step = step, .done = 99'999, .total = 100'000}, 1e6, columns);
      EXPECT_LE(line.size(), static_cast<std::size_t>(columns)) << line;
    }
  }
}

}  // namespace
}  // namespace escribano::cli
