#include "support/library_home.h"

#include <stdexcept>
#include <utility>

namespace escribano {

LibraryHome::LibraryHome() {
  std::filesystem::create_directories(home());
  const std::filesystem::path models = std::filesystem::path(ESCRIBANO_BINARY_DIR) / "test-home" / "models";
  std::filesystem::create_directories(models);
  std::filesystem::create_directory_symlink(models, home() / "models");
}

CommandOptions LibraryHome::options() const {
  CommandOptions options;
  options.environment["ESCRIBANO_HOME"] = home().native();
  options.environment["ESCRIBANO_MLX_SOCKET_PATH"] = (folder() / "b.sock").native();
  options.environment["HF_HUB_CACHE"] = (folder() / "no-cache").native();
  return options;
}

CommandResult LibraryHome::run(std::vector<std::string> arguments, CommandOptions options) const {
  arguments.insert(arguments.begin(), escribano_program());
  return run_command(arguments, options);
}

std::vector<std::string> LibraryHome::process_arguments(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "process");
  // One thread: tests run beside each other, and threads of a step that wait for each other spin.
  arguments.insert(arguments.end(), {"--model", "demo", "--threads", "1"});
  return arguments;
}

std::filesystem::path sample_recording() {
  return std::filesystem::path(ESCRIBANO_SOURCE_DIR) / "assets" / "samples" / "session-a.mp4";
}

namespace {

std::filesystem::path remade(const std::filesystem::path& path, int seconds, const std::vector<std::string>& how) {
  std::vector<std::string> arguments = {
      "/usr/bin/env",         "ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-i", sample_recording().native(), "-t",
      std::to_string(seconds)};
  arguments.insert(arguments.end(), how.begin(), how.end());
  arguments.push_back(path.native());
  const CommandResult result = run_command(arguments);
  if (result.exit_code != 0) throw std::runtime_error("ffmpeg: " + result.err);
  return path;
}

}  // namespace

std::filesystem::path cut_recording(const std::filesystem::path& folder, int seconds) {
  return remade(folder / ("first-" + std::to_string(seconds) + "s.mp4"), seconds, {"-c", "copy"});
}

std::filesystem::path small_recording(const std::filesystem::path& folder, int seconds) {
  return remade(folder / ("small-" + std::to_string(seconds) + "s.mp4"), seconds, {"-vf", "scale=320:180"});
}

}  // namespace escribano
