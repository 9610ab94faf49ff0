#pragma once

#include <filesystem>

namespace escribano::cli {

// The file that this process runs, links followed; empty where the system does not say.
std::filesystem::path own_program();

}  // namespace escribano::cli
