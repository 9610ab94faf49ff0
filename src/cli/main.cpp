#include <cstdio>
#include <exception>
#include <utility>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/openmp_wait.h"

int main(int argc, char** argv) {
  escribano::cli::sleep_at_barriers(argv);
  using escribano::cli::ExitCode;
  CLI::App app("Turns screen recordings into structured descriptions and summaries, on this machine alone.",
               "escribano");
  app.set_version_flag("--version", "escribano " ESCRIBANO_VERSION);
  app.footer("'escribano COMMAND --help' shows the options of a command and an example.");
  ExitCode exit_code = ExitCode::done;
  escribano::cli::add_describe_command(app, escribano::cli::process_environment(), exit_code);
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
