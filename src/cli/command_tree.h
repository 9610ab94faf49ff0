#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace escribano::cli {

// What can follow an option, or stand alone as an argument of a command.
enum class ValueKind {
  none,    // nothing: a flag
  choice,  // one of some words
  file,    // a file or folder
  other,
};

struct OptionEntry {
  std::vector<std::string> names;  // "-o", "--output"; the one name of an argument: "RECORDING"
  std::string value;               // as --help shows it: "FILE", "vlm|llm"; empty for a flag
  ValueKind kind = ValueKind::none;
  std::vector<std::string> choices;  // of ValueKind::choice
  std::string description;
  bool repeats = false;   // may be given several times
  bool required = false;  // arguments only
};

// One command with all that can be typed behind it. What --help does not show is left out.
struct CommandEntry {
  std::string path;  // below the program: "", "process", "models pull"
  std::string name;  // the last word of it; the program's own name at the root
  std::string description;
  std::string footer;
  std::vector<OptionEntry> arguments;
  std::vector<OptionEntry> options;
  std::vector<CommandEntry> commands;
};

// Pure.
CommandEntry command_tree(const CLI::App& app);
// A command and all below it, each before those below it. They live as long as `root`.
std::vector<const CommandEntry*> all_commands(const CommandEntry& root);

}  // namespace escribano::cli
