#pragma once

#include <memory>

#include "cli/commands.h"
#include "cli/settings.h"

namespace escribano::cli {

// Every command and option of the program: what is parsed, and what the manual page and the completions are made of. A command
// stores how it ended in `exit_code`, which must outlive the app. Who deletes it needs CLI/CLI.hpp.
std::unique_ptr<CLI::App> make_app(const Environment& environment, ExitCode& exit_code);

}  // namespace escribano::cli
