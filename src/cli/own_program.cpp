#include "cli/own_program.h"

#include <system_error>

#ifdef __APPLE__
#include <array>
#include <cstdint>

#include <mach-o/dyld.h>
#endif

namespace escribano::cli {

std::filesystem::path own_program() {
  std::error_code error;
#ifdef __APPLE__
  std::array<char, 4096> name{};
  auto size = static_cast<std::uint32_t>(name.size());
  if (::_NSGetExecutablePath(name.data(), &size) != 0) return {};
  std::filesystem::path program = std::filesystem::canonical(name.data(), error);
#else
  std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
#endif
  return error ? std::filesystem::path() : program;
}

}  // namespace escribano::cli
