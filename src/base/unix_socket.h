#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace escribano {

// Sockets of the file system. All descriptors are close-on-exec and non-blocking; writing to a closed peer never raises
// SIGPIPE (use send_some).

// Listens at `path` with mode 0600 from the first moment on. A dead socket in the way is removed; anything else at
// `path` (a regular file, a socket that answers) is left alone. Of two that do this at once, one listens and the other
// fails: "<path>.lock" is held meanwhile (for a moment; removed again). Fails with invalid_argument for a path longer
// than the system's limit (named, in bytes), already_running where a live process answers at `path`, not_found (no such
// folder), not_permitted (also where another user's socket is in the way), io_error. Waits at most seconds, for the lock.
Result<FileDescriptor> listen_unix(const std::filesystem::path& path);

// The next connection that waits at a listening socket; nullopt where none does (any more). Fails with io_error, also for
// want of descriptors: wait a moment then, as poll() will go on to say that there is one.
Result<std::optional<FileDescriptor>> accept_unix(const FileDescriptor& listener);

// Fails with not_found (nothing there), bridge_unavailable (nobody listens, or the listener takes nobody for a second),
// not_permitted, invalid_argument (too long), io_error.
Result<FileDescriptor> connect_unix(const std::filesystem::path& path);

// Removes a socket at `path` at which nobody answers, under the lock of listen_unix. Anything else, and nothing at all,
// is left alone, as success. Fails as listen_unix.
Status remove_dead_socket(const std::filesystem::path& path);

// Whether the peer runs as the same user as this process.
bool peer_is_same_user(const FileDescriptor& socket);

// Bytes written, 0 where the socket takes none now. Fails with io_error where the peer is gone.
Result<std::size_t> send_some(const FileDescriptor& socket, std::string_view bytes);

}  // namespace escribano
