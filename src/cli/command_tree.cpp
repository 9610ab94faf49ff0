#include "cli/command_tree.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include <CLI/CLI.hpp>

namespace escribano::cli {
namespace {

// What values that are files are called in --help.
constexpr std::array<std::string_view, 6> kFileWords = {"FILE", "FOLDER", "PATH", "IMAGE", "RECORDING", "MODEL"};

std::vector<std::string> split_at_bars(std::string_view text) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t bar = text.find('|');
    parts.emplace_back(text.substr(0, bar));
    if (bar == std::string_view::npos) return parts;
    text.remove_prefix(bar + 1);
  }
}

bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-' || c == '_';
  });
}

bool is_file_word(std::string_view text) {
  return std::find(kFileWords.begin(), kFileWords.end(), text) != kFileWords.end();
}

void find_kind(OptionEntry& entry, std::string_view shown) {
  std::vector<std::string> parts = split_at_bars(shown);
  entry.kind = ValueKind::other;
  if (std::any_of(parts.begin(), parts.end(), is_file_word)) {
    entry.kind = ValueKind::file;
  } else if (parts.size() > 1 && std::all_of(parts.begin(), parts.end(), is_word)) {
    entry.kind = ValueKind::choice;
    entry.choices = std::move(parts);
  }
}

OptionEntry argument_entry(const CLI::Option& option) {
  OptionEntry entry{.names = {option.get_name(true)}, .description = option.get_description()};
  entry.repeats = option.get_items_expected_max() > 1;
  entry.required = option.get_required();
  find_kind(entry, entry.names.front());
  return entry;
}

OptionEntry option_entry(const CLI::Option& option) {
  OptionEntry entry{.description = option.get_description()};
  for (const std::string& name : option.get_snames()) entry.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) entry.names.push_back("--" + name);
  if (option.get_items_expected_max() == 0) return entry;
  entry.value = option.get_option_text().empty() ? option.get_type_name() : option.get_option_text();
  entry.repeats = option.get_items_expected_max() > 1;
  find_kind(entry, entry.value);
  return entry;
}

CommandEntry command_entry(const CLI::App& app, std::string path) {
  CommandEntry entry{.path = std::move(path),
                     .name = app.get_name(),
                     .description = app.get_description(),
                     .footer = app.get_footer()};
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    if (option->get_positional()) {
      entry.arguments.push_back(argument_entry(*option));
    } else {
      entry.options.push_back(option_entry(*option));
    }
  }
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_group().empty()) continue;
    const std::string below = entry.path.empty() ? command->get_name() : entry.path + " " + command->get_name();
    entry.commands.push_back(command_entry(*command, below));
  }
  return entry;
}

}  // namespace

CommandEntry command_tree(const CLI::App& app) { return command_entry(app, ""); }

std::vector<const CommandEntry*> all_commands(const CommandEntry& root) {
  std::vector<const CommandEntry*> all = {&root};
  for (const CommandEntry& command : root.commands) {
    const std::vector<const CommandEntry*> below = all_commands(command);
    all.insert(all.end(), below.begin(), below.end());
  }
  return all;
}

}  // namespace escribano::cli
