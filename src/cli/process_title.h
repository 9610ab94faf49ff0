#pragma once

#include <string>

namespace escribano::cli {

// Remembers where the arguments lie, so that a title can take their place. From main(), before anything copies them
// away. The strings stay valid and are only overwritten by set_process_title().
void remember_arguments(int argc, char** argv);

// What ps and top show, as far as it fits into the place of the arguments. Does nothing where the system has no way.
void set_process_title(const std::string& title);

}  // namespace escribano::cli
