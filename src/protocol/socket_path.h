#pragma once

#include <filesystem>
#include <optional>

#include "protocol/request.h"

namespace escribano::protocol {

// Where a bridge that was told `base` (ESCRIBANO_MLX_SOCKET_PATH) listens: at `base` itself where it was given no mode;
// with a mode, ".sock" at its end becomes "-vlm.sock" or "-llm.sock", which is appended where there is none.
std::filesystem::path bridge_socket_path(const std::filesystem::path& base, std::optional<Mode> mode);

// What a bridge that is to listen at `socket` locks while it loads, so that of two only one does.
std::filesystem::path bridge_load_lock_path(const std::filesystem::path& socket);

}  // namespace escribano::protocol
