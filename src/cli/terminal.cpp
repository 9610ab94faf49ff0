#include "cli/terminal.h"

#include <algorithm>
#include <cstdio>

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace escribano::cli {

bool is_terminal(int fd) { return ::isatty(fd) == 1; }

int terminal_columns(int fd) {
  winsize size = {};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string human_duration(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string progress_line(std::size_t done, std::size_t total, double elapsed_s, int columns) {
  std::string figures = fmt::format(" {}/{}", done, total);
  if (done > 0 && elapsed_s > 0) {
    const double rate = static_cast<double>(done) / elapsed_s;
    figures += rate >= 1 ? fmt::format("  {:.1f} frames/s", rate) : fmt::format("  {:.1f} s/frame", 1 / rate);
    if (done < total) figures += "  " + human_duration(static_cast<double>(total - done) / rate) + " left";
  }
  // One column stays free: a line that fills the last one wraps on some terminals.
  const int room = columns - 1 - static_cast<int>(figures.size());
  if (room < 10) return figures.substr(0, static_cast<std::size_t>(std::max(0, columns - 1)));
  const auto width = static_cast<std::size_t>(std::min(room, 40) - 2);
  const std::size_t filled = total == 0 ? width : width * done / total;
  return "[" + std::string(filled, '#') + std::string(width - filled, '.') + "]" + figures;
}

ProgressBar::ProgressBar(std::size_t total) : total_(total), visible_(is_terminal(STDERR_FILENO)) {}

void ProgressBar::update(std::size_t done) {
  if (!visible_) return;
  const double elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  fmt::print(stderr, "\r\033[K{}", progress_line(done, total_, elapsed_s, terminal_columns(STDERR_FILENO)));
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressBar::clear() {
  if (!drawn_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace escribano::cli
