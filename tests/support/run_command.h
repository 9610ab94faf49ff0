#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace escribano {

struct CommandResult {
  int exit_code = -1;  // 128 + signal if a signal ended it
  std::string out;
  std::string err;
};

struct CommandOptions {
  std::map<std::string, std::string> environment;  // on top of this process's, without its ESCRIBANO_ variables
  // Called with the process id as soon as standard output has its first byte.
  std::function<void(int pid)> on_first_output;
  std::chrono::seconds deadline{120};
};

// Runs a program with no standard input and collects what it prints. A program that outlives the deadline is killed, and
// std::runtime_error thrown.
CommandResult run_command(const std::vector<std::string>& arguments, const CommandOptions& options = {});

// The program under test, build/PRESET/bin/escribano.
std::string escribano_program();

}  // namespace escribano
