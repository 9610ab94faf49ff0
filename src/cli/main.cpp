#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
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

// What is wrong with the command that was typed, and with the command of a command; empty if nothing is. CLI11 says only
// that one is missing, whatever was typed in its place.
std::string command_problem(const CLI::App& app, std::span<char* const> arguments) {
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  if (commands.empty() || (!arguments.empty() && arguments[0][0] == '-')) return {};
  std::string names;
  for (const CLI::App* command : commands) {
    if (!arguments.empty() && command->get_name() == arguments[0])
      return command_problem(*command, arguments.subspan(1));
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  // The program's own commands are many, and listed by its help.
  const bool nested = app.get_parent() != nullptr;
  const std::string what = !arguments.empty()
                               ? fmt::format("there is no command '{}'", escribano::printable(arguments[0]))
                           : nested ? "which command? " + names
                                    : "which command?";
  return fmt::format("{}\nTry 'escribano {}--help'", what, nested ? app.get_name() + " " : "");
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
  if (const std::string problem = command_problem(app, std::span(arguments).subspan(1)); !problem.empty()) {
    fmt::print(stderr, "escribano: {}.\n", problem);
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
