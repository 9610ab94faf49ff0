#include "hub/digests.h"

#include <cerrno>
#include <memory>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/posix.h"
#include "models/sha256.h"

namespace escribano::hub {
namespace {

constexpr std::size_t kBufferBytes = 1U << 20;

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};

}  // namespace

Result<FileDigests> digests_of(const std::filesystem::path& path, const std::function<bool(std::uint64_t)>& progress) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat status = {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    const int error = errno;
    return fail(errc_of(error), "{} cannot be read: {}", printable(path), errno_text(error));
  }
  FileDigests digests;
  digests.size = static_cast<std::uint64_t>(status.st_size);
  const std::unique_ptr<EVP_MD_CTX, FreeContext> git(EVP_MD_CTX_new());
  const std::string head = fmt::format("blob {}", digests.size);
  bool good = git && EVP_DigestInit_ex(git.get(), EVP_sha1(), nullptr) == 1 &&
              EVP_DigestUpdate(git.get(), head.c_str(), head.size() + 1) == 1;
  models::Sha256 sha256;
  std::vector<std::byte> buffer(kBufferBytes);
  while (good) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int error = errno;
      return fail(Errc::io_error, "{} cannot be read: {}", printable(path), errno_text(error));
    }
    if (got == 0) break;
    const auto size = static_cast<std::size_t>(got);
    sha256.update(std::span(buffer).first(size));
    good = EVP_DigestUpdate(git.get(), buffer.data(), size) == 1;
    if (progress && !progress(size)) return fail(Errc::cancelled, "cancelled");
  }
  unsigned char sha1[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  if (!good || EVP_DigestFinal_ex(git.get(), sha1, &length) != 1) {
    return fail(Errc::internal, "libcrypto cannot compute SHA-1");
  }
  digests.sha256 = sha256.hex_digest();
  for (unsigned int i = 0; i < length; ++i) digests.git_sha1 += fmt::format("{:02x}", sha1[i]);
  return digests;
}

}  // namespace escribano::hub
