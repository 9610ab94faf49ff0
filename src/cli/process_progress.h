#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "cli/terminal.h"
#include "pipeline/process.h"

namespace escribano::cli {

// One line that shows how far a step is, `elapsed_s` after it began. Pure.
std::string step_line(const ProcessProgress& progress, double elapsed_s, int columns);

// Shows the steps of a run on standard error, one after the other in place; silent where that is no terminal. Not thread-safe.
class StepBar {
 public:
  void update(const ProcessProgress& progress);
  void clear() { bar_.clear(); }

 private:
  using Clock = std::chrono::steady_clock;
  ProgressBar bar_{0};
  std::optional<Step> step_;
  Clock::time_point begin_;
  Clock::time_point shown_;
};

}  // namespace escribano::cli
