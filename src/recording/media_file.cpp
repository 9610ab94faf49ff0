#include "recording/media_file.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#if defined(__linux__)
#include <sys/vfs.h>
#endif

#include "base/posix.h"

namespace escribano::recording {
namespace {

constexpr std::size_t kHashedAtOnceBytes = std::size_t{1} << 20;

#if defined(__APPLE__)
timespec modified(const struct stat& info) { return info.st_mtimespec; }
#else
timespec modified(const struct stat& info) { return info.st_mtim; }
#endif

#if defined(__linux__)
// File systems on which a refused lease means a writer. On others (NFS, SMB) it may mean anything.
bool leases_tell_of_writers(int fd) {
  struct statfs info = {};
  if (::fstatfs(fd, &info) != 0) return false;
  switch (static_cast<std::uint32_t>(info.f_type)) {
    case 0xEF53:                   // ext2, ext3, ext4
    case 0x58465342:               // xfs
    case 0x9123683E:               // btrfs
    case 0xF2F52010:               // f2fs
    case 0x01021994:               // tmpfs
    case 0x794C7630: return true;  // overlayfs
    default: return false;
  }
}

// The kernel grants a lease for reading only where nobody has the file open for writing: a way to see a recorder that is
// still at work without waiting for the file to grow. The lease is given back at once; should somebody open the file in
// between, the kernel tells us by SIGURG, which does nothing by default.
bool is_open_for_writing(int fd) {
  if (!leases_tell_of_writers(fd) || ::fcntl(fd, F_SETSIG, SIGURG) != 0) return false;
  if (::fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
    ::fcntl(fd, F_SETLEASE, F_UNLCK);
    return false;
  }
  return errno == EAGAIN;  // EACCES: a file of somebody else, about which we are not told
}
#else
bool is_open_for_writing(int) { return false; }
#endif

struct FreeHash {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};

}  // namespace

Result<MediaFile> MediaFile::open(const std::filesystem::path& path) {
  MediaFile file;
  file.name_ = printable(path);
  // O_NONBLOCK so that a named pipe does not hang the caller before fstat can refuse it.
  file.fd_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.fd_) {
    const int error = errno;
    return fail(errc_of(error), "{}: {}", file.name_, errno_text(error));
  }
  struct stat info = {};
  if (::fstat(file.fd_.get(), &info) != 0) return fail(Errc::io_error, "{}: {}", file.name_, errno_text(errno));
  if (S_ISDIR(info.st_mode)) return fail(Errc::unsupported, "{} is a folder, not a recording", file.name_);
  if (!S_ISREG(info.st_mode)) return fail(Errc::unsupported, "{} is not a regular file", file.name_);
  if (is_open_for_writing(file.fd_.get())) {
    return fail(Errc::overloaded, "{}: another program is still writing to it; try again when the recording has ended",
                file.name_);
  }
  if (info.st_size == 0) return fail(Errc::corrupt, "{} is empty (0 bytes)", file.name_);
  file.bytes_ = static_cast<std::uint64_t>(info.st_size);
  file.modified_s_ = modified(info).tv_sec;
  file.modified_ns_ = modified(info).tv_nsec;
  std::error_code error;
  file.path_ = std::filesystem::absolute(path, error);
  if (error) file.path_ = path;
  return file;
}

Result<std::size_t> MediaFile::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset >= bytes_) return std::size_t{0};
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), bytes_ - offset));
  for (;;) {
    const ssize_t got = ::pread(fd_.get(), out.data(), wanted, static_cast<off_t>(offset));
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return fail(Errc::io_error, "{}: {}", name_, errno_text(errno));
  }
}

Status MediaFile::check_unchanged() const {
  struct stat info = {};
  if (::fstat(fd_.get(), &info) != 0) return fail(Errc::io_error, "{}: {}", name_, errno_text(errno));
  const auto bytes = static_cast<std::uint64_t>(info.st_size);
  if (bytes == bytes_ && modified(info).tv_sec == modified_s_ && modified(info).tv_nsec == modified_ns_) return {};
  return fail(Errc::overloaded,
              "{} changed while it was read ({} bytes, then {}); try again when the recording has ended", name_, bytes_,
              bytes);
}

Result<std::string> MediaFile::content_id(const std::stop_token& stop) const {
  const std::unique_ptr<XXH3_state_t, FreeHash> state(XXH3_createState());
  if (!state || XXH3_128bits_reset(state.get()) != XXH_OK) {
    return fail(Errc::out_of_memory, "{}: not enough memory to read it", name_);
  }
  std::vector<std::byte> buffer(kHashedAtOnceBytes);
  for (std::uint64_t offset = 0; offset < bytes_;) {
    if (stop.stop_requested()) return fail(Errc::cancelled, "{}: stopped while it was read", name_);
    ESCRIBANO_TRY(const std::size_t got, read_at(offset, buffer));
    if (got == 0) break;  // it was cut off: check_unchanged() says so
    XXH3_128bits_update(state.get(), buffer.data(), got);
    offset += got;
  }
  ESCRIBANO_CHECK(check_unchanged());
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  return fmt::format("{:016x}{:016x}", static_cast<std::uint64_t>(hash.high64), static_cast<std::uint64_t>(hash.low64));
}

}  // namespace escribano::recording
