#pragma once

#include <string>

#include "cli/command_tree.h"

namespace escribano::cli {

// Scripts that complete commands, options and their values, each as the shell loads it by itself when it is installed in the
// place that the shell looks at. None needs a package of completions. Pure.

std::string bash_completion(const CommandEntry& program);  // for bash 3.2 and newer
std::string zsh_completion(const CommandEntry& program);
std::string fish_completion(const CommandEntry& program);

}  // namespace escribano::cli
