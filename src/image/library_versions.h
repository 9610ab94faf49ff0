#pragma once

#include <string>
#include <vector>

namespace escribano {

// The libraries that decode pictures, each with its version: "libpng 1.6.39".
std::vector<std::string> image_library_versions();

}  // namespace escribano
