#include "cli/commands.h"

#include <cstdio>

#include <fmt/core.h>

namespace escribano::cli {

ExitCode exit_with(const Result<ExitCode>& result) {
  if (result) return *result;
  fmt::print(stderr, "escribano: {}\n", result.error().message);
  return result.error().code == Errc::invalid_argument ? ExitCode::usage : ExitCode::failed;
}

}  // namespace escribano::cli
