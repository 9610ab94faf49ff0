#pragma once

#include <string>
#include <vector>

#include "cli/command_tree.h"
#include "cli/settings.h"

namespace escribano::cli {

struct ManPageFacts {
  std::string version;
  std::string date;                  // "2026-01-31"
  std::vector<SettingRow> settings;  // with their defaults
};

// The manual page of the program and all its commands, for man(7) macros. Pure.
std::string man_page(const CommandEntry& program, const ManPageFacts& facts);

}  // namespace escribano::cli
