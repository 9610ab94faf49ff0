#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace escribano::cli {

bool is_terminal(int fd);
// Columns of the terminal behind `fd`; 80 where it does not say.
int terminal_columns(int fd);

// A bar of which `share` (0 to 1) is filled, between a label and figures, that fits `columns`. Pure.
std::string bar_line(std::string_view label, double share, std::string_view figures, int columns);
// One line that shows how far a run is: bar, count, rate and time left. Pure.
std::string progress_line(std::size_t done, std::size_t total, double elapsed_s, int columns);
// "7 s", "3 min 20 s", "2 h 5 min". Pure.
std::string human_duration(double seconds);

// The text (UTF-8) in lines of at most `columns`, broken at spaces and where it has line breaks. Lines keep the spaces
// they begin with. A word that is longer stays whole, so that a path can be copied. Pure.
std::vector<std::string> wrapped(std::string_view text, std::size_t columns);

// A progress bar on standard error, redrawn in place; silent where standard error is no terminal. Not thread-safe.
class ProgressBar {
 public:
  explicit ProgressBar(std::size_t total);
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(std::size_t done);
  // Any line in place of that of update().
  void show(const std::string& line);
  // Takes the bar off the screen, so that a line can be printed; the next update draws it again.
  void clear();

 private:
  std::size_t total_;
  bool visible_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace escribano::cli
