#include "cli/terminal.h"

#include <algorithm>
#include <cstdio>

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace escribano::cli {
namespace {

// Characters of a text in UTF-8: every byte but those that go on a character.
std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

void wrap_line(std::string_view text, std::size_t columns, std::vector<std::string>& lines) {
  const std::size_t indent = std::min(text.find_first_not_of(' '), text.size());
  lines.emplace_back(indent, ' ');
  std::size_t used = indent;
  for (std::size_t at = indent; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string_view word = text.substr(at, end - at);
    at = end + 1;
    if (word.empty()) continue;
    if (used > indent && used + 1 + characters(word) > columns) {
      lines.emplace_back(indent, ' ');
      used = indent;
    }
    if (used > indent) {
      lines.back() += ' ';
      ++used;
    }
    lines.back() += word;
    used += characters(word);
  }
}

}  // namespace

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
  return bar_line("", total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total), figures, columns);
}

std::string bar_line(std::string_view label, double share, std::string_view figures, int columns) {
  // One column stays free: a line that fills the last one wraps on some terminals.
  const int room = columns - 1 - static_cast<int>(label.size() + figures.size());
  if (room < 10) {
    return (std::string(label) + std::string(figures)).substr(0, static_cast<std::size_t>(std::max(0, columns - 1)));
  }
  const auto width = static_cast<std::size_t>(std::min(room, 40) - 2);
  const auto filled = static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(width));
  std::string line(label);
  return line.append("[").append(filled, '#').append(width - filled, '.').append("]").append(figures);
}

std::vector<std::string> wrapped(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    wrap_line(text.substr(at, end - at), columns, lines);
    at = end + 1;
  }
  return lines;
}

ProgressBar::ProgressBar(std::size_t total) : total_(total), visible_(is_terminal(STDERR_FILENO)) {}

void ProgressBar::update(std::size_t done) {
  const double elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  show(progress_line(done, total_, elapsed_s, terminal_columns(STDERR_FILENO)));
}

void ProgressBar::show(const std::string& line) {
  if (!visible_) return;
  fmt::print(stderr, "\r\033[K{}", line);
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
