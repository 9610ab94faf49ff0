#include "cli/app.h"

#include <CLI/CLI.hpp>

#include "cli/help.h"

namespace escribano::cli {

std::unique_ptr<CLI::App> make_app(const Environment& environment, ExitCode& exit_code) {
  auto app = std::make_unique<CLI::App>(
      "Turns screen recordings into structured descriptions and summaries, on this machine alone.", "escribano");
  app->set_version_flag("--version", "escribano " ESCRIBANO_VERSION);
  app->formatter(help_formatter());
  app->footer("'escribano COMMAND --help' shows the options of a command and an example.");
  add_process_command(*app, environment, exit_code);
  add_report_command(*app, environment, exit_code);
  add_list_command(*app, environment, exit_code);
  add_show_command(*app, environment, exit_code);
  add_search_command(*app, environment, exit_code);
  add_describe_command(*app, environment, exit_code);
  add_bridge_command(*app, environment, exit_code);
  add_models_command(*app, environment, exit_code);
  add_doctor_command(*app, environment, exit_code);
  add_config_command(*app, environment, exit_code);
  for (CLI::App* command : app->get_subcommands([](const CLI::App*) { return true; })) command->group("Commands");
  return app;
}

}  // namespace escribano::cli
