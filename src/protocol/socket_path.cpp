#include "protocol/socket_path.h"

#include <string>
#include <string_view>

namespace escribano::protocol {

std::filesystem::path bridge_socket_path(const std::filesystem::path& base, std::optional<Mode> mode) {
  constexpr std::string_view kEnding = ".sock";
  if (!mode) return base;
  std::string path = base.native();
  if (path.ends_with(kEnding)) path.resize(path.size() - kEnding.size());
  path += '-';
  path += mode_name(*mode);
  path += kEnding;
  return path;
}

std::filesystem::path bridge_load_lock_path(const std::filesystem::path& socket) { return socket.native() + ".load"; }

}  // namespace escribano::protocol
