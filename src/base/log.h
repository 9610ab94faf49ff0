#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/core.h>

namespace escribano::log {

enum class Level { debug, info, warn, error, off };

struct FileTarget {
  std::filesystem::path path;
  std::uint64_t max_bytes = 10'485'760;  // at least 1. A longer file is renamed ("name.1.log"), and a new one begun
};

// Lines go to standard error, or to `file`, as "2026-01-31 12:00:00.000 info [TAG] text". `tag` is "VLM" for commands,
// "MLX" for the bridge. Call once from main before any thread starts; without it only warnings and errors are shown.
//
// A file is appended to and one older one is kept. If it cannot be written, at once or later (a full disk), one warning
// says so and the lines go to standard error from then on: a log never fails the run.
void init(std::string_view tag, Level level, const std::optional<FileTarget>& file = std::nullopt);

bool enabled(Level level) noexcept;
// Thread-safe. Never pass frame text or prompts above debug level.
void write(Level level, std::string_view text);

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warn)) write(Level::warn, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace escribano::log
