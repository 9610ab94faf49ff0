#pragma once

#include <string>

#include "base/error.h"
#include "base/file.h"

namespace escribano {

// What an errno value of a file operation is for us: not_found, not_permitted, or else io_error.
Errc errc_of(int error) noexcept;
// Its text, e.g. "No such file or directory". Thread-safe, other than strerror().
std::string errno_text(int error);

struct Pipe {
  FileDescriptor read_end;
  FileDescriptor write_end;
};
// Both ends are close-on-exec, blocking, and never one of the numbers 0, 1 and 2, which a process that was started with
// closed standard streams would get: dup2() to these in a child can so never hit the pipe itself.
Result<Pipe> make_pipe();

Status set_nonblocking(const FileDescriptor& fd);

}  // namespace escribano
