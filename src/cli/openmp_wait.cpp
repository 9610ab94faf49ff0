#include "cli/openmp_wait.h"

#include <cstdlib>
#include <filesystem>

#include <unistd.h>

namespace escribano::cli {

void sleep_at_barriers(char** argv) {
#ifdef __linux__
  for (const char* chosen : {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}) {
    if (std::getenv(chosen) != nullptr) return;
  }
  std::error_code error;
  // The name and not /proc/self/exe itself, which would become the name that ps and killall see.
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error || ::setenv("GOMP_SPINCOUNT", "1000", 0) != 0) return;
  ::execv(program.c_str(), argv);
#else
  static_cast<void>(argv);
#endif
}

}  // namespace escribano::cli
