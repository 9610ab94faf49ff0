#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "base/file.h"
#include "cli/app.h"
#include "cli/openmp_wait.h"
#include "cli/process_title.h"

namespace {

// The arguments as they are meant. Called as escribano-bridge this is the bridge, and a script in the first place is left
// out: so it can stand in for an interpreter that is told to run a bridge of the same family.
std::vector<char*> meant_arguments(int argc, char** argv) {
  static char bridge[] = "bridge";
  std::vector<char*> arguments(argv, argv + argc);
  const std::filesystem::path called = argc > 0 ? argv[0] : "";
  if (called.filename() == "escribano-bridge") arguments.insert(arguments.begin() + 1, bridge);
  if (arguments.size() > 2 && std::string_view(arguments[1]) == "bridge" &&
      std::string_view(arguments[2]).ends_with(".py")) {
    arguments.erase(arguments.begin() + 2);
  }
  return arguments;
}

}  // namespace

int main(int original_argc, char** original_argv) {
  escribano::cli::sleep_at_barriers(original_argv);
  escribano::cli::remember_arguments(original_argc, original_argv);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error to tell, as a full disk is
  using escribano::cli::ExitCode;
  std::vector<char*> arguments = meant_arguments(original_argc, original_argv);
  const int argc = static_cast<int>(arguments.size());
  char** const argv = arguments.data();
  ExitCode exit_code = ExitCode::done;
  const std::unique_ptr<CLI::App> program = escribano::cli::make_app(escribano::cli::process_environment(), exit_code);
  CLI::App& app = *program;
  // CLI11 says only that a command is missing, whatever was typed in its place.
  const auto named_first = [&](const CLI::App* command) { return command->get_name() == argv[1]; };
  if (argc < 2 || (argv[1][0] != '-' && std::as_const(app).get_subcommands(named_first).empty())) {
    fmt::print(stderr, "escribano: {}\nTry 'escribano --help'.\n",
               argc < 2 ? "which command?" : fmt::format("there is no command '{}'", escribano::printable(argv[1])));
    return static_cast<int>(ExitCode::usage);
  }
  try {
    app.require_subcommand(1);
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {  // --help, --version
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "escribano: {}\nTry 'escribano --help'.\n", error.what());
    return static_cast<int>(ExitCode::usage);
  } catch (const std::exception& error) {
    fmt::print(stderr, "escribano: {}\n", error.what());
    return static_cast<int>(ExitCode::failed);
  }
  return static_cast<int>(exit_code);
}
