#pragma once

#include <memory>

namespace CLI {
class FormatterBase;
}

namespace escribano::cli {

// Lays --help out for 80 columns, so that descriptions need no line breaks of their own.
std::shared_ptr<CLI::FormatterBase> help_formatter();

}  // namespace escribano::cli
