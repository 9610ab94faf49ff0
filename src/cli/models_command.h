#pragma once

// The subcommands of 'escribano models', a function each, so that each lies in a file of its own.

#include <string>

#include "cli/commands.h"
#include "models/model_files.h"

namespace escribano::cli {

// Each adds one subcommand to `models`, as those of commands.h do to the program.
void add_models_list(CLI::App& models, const Environment& environment, ExitCode& exit_code);
void add_models_check(CLI::App& models, const Environment& environment, ExitCode& exit_code);
void add_models_path(CLI::App& models, const Environment& environment, ExitCode& exit_code);
void add_models_import(CLI::App& models, const Environment& environment, ExitCode& exit_code);
void add_models_pull(CLI::App& models, const Environment& environment, ExitCode& exit_code);

// The two files of a model, a line each, as they are: other programs take them from here.
std::string file_lines(const ModelFiles& files);

}  // namespace escribano::cli
