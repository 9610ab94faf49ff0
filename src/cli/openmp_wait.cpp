#include "cli/openmp_wait.h"

#include <cstdlib>
#include <filesystem>

#include <unistd.h>

#include "cli/own_program.h"

namespace escribano::cli {

void sleep_at_barriers(char** argv) {
#ifdef __linux__
  for (const char* chosen : {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}) {
    if (std::getenv(chosen) != nullptr) return;
  }
  // The name and not /proc/self/exe itself, which would become the name that ps and killall see.
  const std::filesystem::path program = own_program();
  if (program.empty() || ::setenv("GOMP_SPINCOUNT", "5000", 0) != 0) return;
  ::execv(program.c_str(), argv);
#else
  static_cast<void>(argv);
#endif
}

}  // namespace escribano::cli
