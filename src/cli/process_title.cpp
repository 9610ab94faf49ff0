#include "cli/process_title.h"

#include <cstddef>
#include <cstring>

#ifdef __linux__
#include <sys/prctl.h>
#endif

namespace escribano::cli {
namespace {

char* area = nullptr;
std::size_t area_bytes = 0;

}  // namespace

void remember_arguments(int argc, char** argv) {
  if (argc < 1) return;
  // The kernel lays the strings one behind the other.
  const char* end = argv[0];
  for (int i = 0; i < argc && argv[i] == end; ++i) end = argv[i] + std::strlen(argv[i]) + 1;
  area = argv[0];
  area_bytes = static_cast<std::size_t>(end - argv[0]);
}

void set_process_title(const std::string& title) {
#ifdef __linux__
  if (area == nullptr || area_bytes < 2) return;
  std::memset(area, 0, area_bytes);
  title.copy(area, area_bytes - 1);  // what it leaves stays zero
  ::prctl(PR_SET_NAME, "escribano");
#else
  static_cast<void>(title);
#endif
}

}  // namespace escribano::cli
