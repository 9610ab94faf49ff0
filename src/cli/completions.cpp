#include "cli/completions.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace escribano::cli {
namespace {

constexpr std::string_view kOrigin = "# Made from the options of the program; a change belongs there.\n";

std::string replaced(std::string_view text, char what, std::string_view by) {
  std::string out;
  for (const char c : text) {
    if (c == what) {
      out += by;
    } else {
      out += c;
    }
  }
  return out;
}

// One word of bash and zsh.
std::string quoted(std::string_view text) { return fmt::format("'{}'", replaced(text, '\'', R"('\'')")); }

template <class... Args>
void append(std::string& text, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(text), format, std::forward<Args>(args)...);
}

std::vector<std::string> command_names(const CommandEntry& command) {
  std::vector<std::string> names;
  names.reserve(command.commands.size());
  for (const CommandEntry& below : command.commands) names.push_back(below.name);
  return names;
}

bool takes_files(const CommandEntry& command) {
  return std::any_of(command.arguments.begin(), command.arguments.end(),
                     [](const OptionEntry& argument) { return argument.kind == ValueKind::file; });
}

// What bash offers for a value: its words, or what kind of value it is.
std::string bash_value(const OptionEntry& option) {
  if (option.kind == ValueKind::choice) return fmt::format("{}", fmt::join(option.choices, " "));
  return option.kind == ValueKind::file ? "FILE" : "OTHER";
}

// Names that no two commands share and every shell takes for a function.
std::string zsh_function(const CommandEntry& program, const CommandEntry& command) {
  return "_" + program.name + (command.path.empty() ? "" : "_" + replaced(replaced(command.path, ' ', "_"), '-', "_"));
}

std::string zsh_text(std::string_view text) {
  std::string out = replaced(text, '\\', R"(\\)");
  for (const auto& [c, by] : {std::pair{'[', R"(\[)"}, std::pair{']', R"(\])"}, std::pair{':', R"(\:)"}})
    out = replaced(out, c, by);
  return out;
}

std::string zsh_action(const OptionEntry& option) {
  if (option.kind == ValueKind::choice) return fmt::format("({})", fmt::join(option.choices, " "));
  return option.kind == ValueKind::file ? "_files" : " ";
}

std::string zsh_option(const OptionEntry& option) {
  std::string value;
  if (option.kind != ValueKind::none) value = fmt::format(":{}:{}", zsh_text(option.value), zsh_action(option));
  const std::string tail = quoted(fmt::format("[{}]{}", zsh_text(option.description), value));
  std::string line = "    ";
  if (option.repeats) {
    line += "'*'";
  } else if (option.names.size() > 1) {
    line += fmt::format("'({})'", fmt::join(option.names, " "));
  }
  line += option.names.size() > 1 ? fmt::format("{{{}}}", fmt::join(option.names, ",")) : option.names.front();
  return line + tail;
}

void add_zsh_function(std::string& text, const CommandEntry& program, const CommandEntry& command) {
  append(text, "\n{}() {{\n  local curcontext=$curcontext\n  local -a line state commands\n  _arguments -s -C \\\n",
         zsh_function(program, command));
  for (const OptionEntry& option : command.options) append(text, "{} \\\n", zsh_option(option));
  if (command.commands.empty()) {
    for (const OptionEntry& argument : command.arguments) {
      append(text, "    {} \\\n",
             quoted(fmt::format("{}:{}:{}", argument.repeats ? "*" : "", zsh_text(argument.names.front()),
                                zsh_action(argument))));
    }
    text += "    && return\n}\n";
    return;
  }
  text += "    '1: :->command' '*:: :->rest' && return\n  case $state in\n    command)\n      commands=(\n";
  for (const CommandEntry& below : command.commands) {
    append(text, "        {}\n", quoted(fmt::format("{}:{}", below.name, zsh_text(below.description))));
  }
  text += "      )\n      _describe command commands ;;\n    rest)\n      case $line[1] in\n";
  for (const CommandEntry& below : command.commands) {
    append(text, "        {}) {} ;;\n", below.name, zsh_function(program, below));
  }
  text += "      esac ;;\n  esac\n}\n";
}

std::string fish_quoted(std::string_view text) {
  return fmt::format("'{}'", replaced(replaced(text, '\\', R"(\\)"), '\'', R"(\')"));
}

void add_fish_command(std::string& text, const CommandEntry& program, const CommandEntry& command) {
  const std::string start = fmt::format("complete -c {0} -n \"__{0}_at '{1}'\"", program.name, command.path);
  for (const CommandEntry& below : command.commands) {
    append(text, "{} -a {} -d {}\n", start, below.name, fish_quoted(below.description));
  }
  if (takes_files(command)) append(text, "{} -F\n", start);
  for (const OptionEntry& option : command.options) {
    text += start;
    for (const std::string& name : option.names) {
      text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    }
    append(text, " -d {}", fish_quoted(option.description));
    if (option.kind == ValueKind::choice) append(text, " -x -a '{}'", fmt::join(option.choices, " "));
    if (option.kind == ValueKind::file) text += " -r -F";
    if (option.kind == ValueKind::other) text += " -x";
    text += '\n';
  }
}

}  // namespace

std::string bash_completion(const CommandEntry& program) {
  const std::vector<const CommandEntry*> commands = all_commands(program);
  std::string text(kOrigin);
  append(text, "\n# The commands below a command.\n_{}_commands() {{\n  case $1 in\n", program.name);
  for (const CommandEntry* command : commands) {
    if (command->commands.empty()) continue;
    append(text, "    {}) echo {} ;;\n", quoted(command->path),
           quoted(fmt::format("{}", fmt::join(command_names(*command), " "))));
  }
  append(text, "  esac\n}}\n\n# The options of a command.\n_{}_options() {{\n  case $1 in\n", program.name);
  for (const CommandEntry* command : commands) {
    std::vector<std::string> names;
    for (const OptionEntry& option : command->options)
      names.insert(names.end(), option.names.begin(), option.names.end());
    append(text, "    {}) echo {} ;;\n", quoted(command->path), quoted(fmt::format("{}", fmt::join(names, " "))));
  }
  append(text,
         "  esac\n}}\n\n# What follows an option of a command: the words to choose from, FILE, or OTHER. Nothing where "
         "it is a "
         "flag.\n_{}_value() {{\n  case \"$1 $2\" in\n",
         program.name);
  for (const CommandEntry* command : commands) {
    for (const OptionEntry& option : command->options) {
      if (option.kind == ValueKind::none) continue;
      std::vector<std::string> patterns;
      patterns.reserve(option.names.size());
      for (const std::string& name : option.names) patterns.push_back(quoted(command->path + " " + name));
      append(text, "    {}) echo {} ;;\n", fmt::join(patterns, " | "), quoted(bash_value(option)));
    }
  }
  append(text,
         "  esac\n}}\n\n# What stands behind a command and is no option: FILE or OTHER.\n_{}_argument() {{\n  case $1 "
         "in\n",
         program.name);
  for (const CommandEntry* command : commands) {
    if (takes_files(*command)) append(text, "    {}) echo FILE ;;\n", quoted(command->path));
  }
  text += "    *) echo OTHER ;;\n  esac\n}\n";
  // In COMP_WORDS, --option=value is three words.
  constexpr std::string_view kMain = R"(
_PROGRAM() {
  local word=${COMP_WORDS[COMP_CWORD]} command='' offer='' next i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    next=${COMP_WORDS[i]}
    if [[ -n $offer ]]; then
      [[ $next == '=' ]] || offer=''
    elif [[ $next == -* ]]; then
      offer=$(_PROGRAM_value "$command" "$next")
    elif [[ " $(_PROGRAM_commands "$command") " == *" $next "* ]]; then
      command=${command:+$command }$next
    fi
  done
  if [[ $word == '=' ]]; then word=''; fi
  if [[ -z $offer && $word == -* ]]; then
    offer=$(_PROGRAM_options "$command")
  elif [[ -z $offer ]]; then
    offer=$(_PROGRAM_commands "$command")
    offer=${offer:-$(_PROGRAM_argument "$command")}
  fi
  case $offer in
    FILE) ;; # an empty answer: bash offers files
    OTHER) compopt +o default 2> /dev/null ;;
    *)
      while IFS= read -r next; do COMPREPLY+=("$next"); done < <(compgen -W "$offer" -- "$word")
      ((${#COMPREPLY[@]} > 0)) || compopt +o default 2> /dev/null
      ;;
  esac
  return 0
}
complete -o default -F _PROGRAM PROGRAM
)";
  for (std::string_view rest = kMain; !rest.empty();) {
    constexpr std::string_view kName = "PROGRAM";
    const std::size_t at = rest.find(kName);
    text += rest.substr(0, at);
    if (at == std::string_view::npos) break;
    text += program.name;
    rest.remove_prefix(at + kName.size());
  }
  return text;
}

std::string zsh_completion(const CommandEntry& program) {
  std::string text = fmt::format("#compdef {}\n{}", program.name, kOrigin);
  for (const CommandEntry* command : all_commands(program)) add_zsh_function(text, program, *command);
  append(text, "\n_{} \"$@\"\n", program.name);
  return text;
}

std::string fish_completion(const CommandEntry& program) {
  std::vector<std::string> known;
  for (const CommandEntry* command : all_commands(program)) {
    if (command->path.empty()) continue;
    // With the space behind what is above it, which is nothing at the top.
    known.push_back(command->path.find(' ') == std::string::npos ? quoted(" " + command->path) : quoted(command->path));
  }
  std::string text(kOrigin);
  append(text,
         "\n# Whether the words so far name this command.\n"
         "function __{0}_at --argument-names wanted\n"
         "    set -l words (commandline -opc)\n"
         "    set -e words[1]\n"
         "    set -l command ''\n"
         "    for word in $words\n"
         "        switch \"$command $word\"\n"
         "            case {1}\n"
         "                set command (string trim -- \"$command $word\")\n"
         "        end\n"
         "    end\n"
         "    test \"$command\" = \"$wanted\"\n"
         "end\n\n"
         "complete -c {0} -f\n",
         program.name, fmt::join(known, " "));
  for (const CommandEntry* command : all_commands(program)) add_fish_command(text, program, *command);
  return text;
}

}  // namespace escribano::cli
