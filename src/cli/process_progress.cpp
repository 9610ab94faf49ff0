#include "cli/process_progress.h"
#include "base/clock_text.h"

#include <fmt/format.h>
#include <unistd.h>

namespace escribano::cli {
namespace {

// Often enough to look alive, and no more.
constexpr std::chrono::milliseconds kRedraw{100};

std::string_view label_of(Step step) {
  switch (step) {
    case Step::sample: return "sampling   ";
    case Step::describe: return "describing ";
    case Step::segment: return "segmenting ";
    case Step::summarise: return "writing    ";
  }
  return "";
}

}  // namespace

std::string step_line(const ProcessProgress& progress, double elapsed_s, int columns) {
  const double rate = elapsed_s > 0 ? progress.done / elapsed_s : 0;
  std::string figures;
  switch (progress.step) {
    case Step::sample:
      figures = fmt::format(" {} of {}", clock_text(progress.done), clock_text(progress.total));
      if (rate > 0) figures += fmt::format("  {:.0f}x real time", rate);
      break;
    case Step::describe:
      figures = fmt::format(" {:.0f}/{:.0f}", progress.done, progress.total);
      if (rate >= 1) figures += fmt::format("  {:.1f} frames/s", rate);
      if (rate > 0 && rate < 1) figures += fmt::format("  {:.1f} s/frame", 1 / rate);
      break;
    case Step::segment:
    case Step::summarise: figures = fmt::format(" {:.0f}/{:.0f}", progress.done, progress.total); break;
  }
  if (rate > 0 && progress.done < progress.total) {
    figures += "  " + human_duration((progress.total - progress.done) / rate) + " left";
  }
  return bar_line(label_of(progress.step), progress.total > 0 ? progress.done / progress.total : 1, figures, columns);
}

void StepBar::update(const ProcessProgress& progress) {
  const Clock::time_point now = Clock::now();
  const bool fresh = step_ != progress.step;
  if (fresh) {
    step_ = progress.step;
    begin_ = now;
  } else if (now - shown_ < kRedraw && progress.done < progress.total) {
    return;
  }
  shown_ = now;
  const double elapsed_s = std::chrono::duration<double>(now - begin_).count();
  bar_.show(step_line(progress, elapsed_s, terminal_columns(STDERR_FILENO)));
}

}  // namespace escribano::cli
