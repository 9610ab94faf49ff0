#pragma once

#include "base/error.h"
#include "cli/settings.h"

namespace CLI {
class App;
}

namespace escribano::cli {

// What the process exits with.
enum class ExitCode : int {
  done = 0,
  failed = 1,
  usage = 2,
  some_frames_failed = 3,
  interrupted = 130,
};

// How a command ends: a failure is told on standard error.
ExitCode exit_with(const Result<ExitCode>& result);

// Each adds one subcommand whose callback stores its exit code in `exit_code`.
void add_bridge_command(CLI::App& app, const Environment& environment, ExitCode& exit_code);
void add_describe_command(CLI::App& app, const Environment& environment, ExitCode& exit_code);
void add_config_command(CLI::App& app, const Environment& environment, ExitCode& exit_code);
void add_doctor_command(CLI::App& app, const Environment& environment, ExitCode& exit_code);
void add_list_command(CLI::App& app, const Environment& environment, ExitCode& exit_code);
void add_models_command(CLI::App& app, const Environment& environment, ExitCode& exit_code);
void add_process_command(CLI::App& app, const Environment& environment, ExitCode& exit_code);
void add_report_command(CLI::App& app, const Environment& environment, ExitCode& exit_code);
void add_search_command(CLI::App& app, const Environment& environment, ExitCode& exit_code);
void add_show_command(CLI::App& app, const Environment& environment, ExitCode& exit_code);

}  // namespace escribano::cli
