#include "engine/core/embedding_files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/posix.h"

namespace escribano::engine {
namespace {

constexpr std::string_view kSuffix = ".emb";
constexpr std::string_view kUnfinishedSuffix = ".tmp";
// Left behind by a process that was killed while it wrote; nobody takes that long.
constexpr std::chrono::hours kUnfinishedAge{1};
// No vision tower makes more of a picture; what claims to be larger is not read.
constexpr std::int64_t kMaxTokens = 1 << 20;
constexpr std::int64_t kMaxWidth = 1 << 20;
constexpr std::int64_t kMaxValues = std::int64_t{1} << 28;  // 1 GiB

// Stands before the values, which are floats of this machine's byte order.
struct Header {
  std::array<char, 8> magic = {'e', 's', 'c', 'r', 'i', 'E', 'M', 'B'};
  std::uint32_t version = 1;
  std::uint32_t byte_order = 0x01020304;
  std::uint64_t identity = 0;
  std::uint64_t key_high = 0;
  std::uint64_t key_low = 0;
  std::int32_t tokens = 0;
  std::int32_t width = 0;
  std::int32_t columns = 0;
  std::int32_t rows = 0;
  std::int32_t positions = 0;
  std::int32_t reserved = 0;
  std::uint64_t checksum = 0;  // of the values, going on from that of the header with a checksum of 0
};
static_assert(std::is_trivially_copyable_v<Header> && sizeof(Header) == 72);

std::span<const std::byte> bytes_of(const Header& header) { return std::as_bytes(std::span(&header, 1)); }

std::uint64_t checksum(Header header, std::span<const float> values) {
  header.checksum = 0;
  return hash_bytes(std::as_bytes(values), hash_bytes(bytes_of(header)));
}

bool read_all(const FileDescriptor& fd, std::span<std::byte> to) {
  while (!to.empty()) {
    const ssize_t got = ::read(fd.get(), to.data(), to.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to = to.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

Status write_all(const FileDescriptor& fd, std::span<const std::byte> from) {
  while (!from.empty()) {
    const ssize_t put = ::write(fd.get(), from.data(), from.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail(errc_of(errno), "{}", errno_text(errno));
    from = from.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

// The content of an open file, or nullptr if it is not what `expected` (without shape and checksum) says.
std::shared_ptr<const ImageEmbedding> read_open(const FileDescriptor& fd, const Header& expected) {
  struct stat about = {};
  Header header;
  if (::fstat(fd.get(), &about) != 0 || !S_ISREG(about.st_mode)) return nullptr;
  if (!read_all(fd, std::as_writable_bytes(std::span(&header, 1)))) return nullptr;
  if (header.magic != expected.magic || header.version != expected.version ||
      header.byte_order != expected.byte_order || header.identity != expected.identity ||
      header.key_high != expected.key_high || header.key_low != expected.key_low) {
    return nullptr;
  }
  if (header.tokens < 1 || header.tokens > kMaxTokens || header.width < 1 || header.width > kMaxWidth) return nullptr;
  const std::int64_t values = std::int64_t{header.tokens} * header.width;
  const std::int64_t size =
      static_cast<std::int64_t>(sizeof(Header)) + values * static_cast<std::int64_t>(sizeof(float));
  if (values > kMaxValues || about.st_size != size) return nullptr;
  ImageEmbedding embedding = {.tokens = header.tokens,
                              .width = header.width,
                              .columns = header.columns,
                              .rows = header.rows,
                              .positions = header.positions,
                              .values = std::vector<float>(static_cast<std::size_t>(values))};
  if (!read_all(fd, std::as_writable_bytes(std::span(embedding.values)))) return nullptr;
  if (checksum(header, embedding.values) != header.checksum) return nullptr;
  return std::make_shared<const ImageEmbedding>(std::move(embedding));
}

}  // namespace

EmbeddingFiles::EmbeddingFiles(EmbeddingFolder folder)
    : folder_(std::move(folder)), identity_(hash_bytes(std::as_bytes(std::span(folder_.identity)))) {}

std::filesystem::path EmbeddingFiles::file_of(const ImageHash& key) const {
  return folder_.path / fmt::format("{:016x}-{:016x}{:016x}{}", identity_, key.high, key.low, kSuffix);
}

std::shared_ptr<const ImageEmbedding> EmbeddingFiles::read(const ImageHash& key) const {
  const std::filesystem::path path = file_of(key);
  // Not to wait for the other end of a pipe that somebody put there.
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd && errno != ELOOP) return nullptr;  // not there, or not for us to say what it is
  const Header expected = {.identity = identity_, .key_high = key.high, .key_low = key.low};
  std::shared_ptr<const ImageEmbedding> embedding = fd ? read_open(fd, expected) : nullptr;
  if (embedding == nullptr) {
    log::warn("{} is no kept embedding and is removed", printable(path));
    std::error_code ignored;
    std::filesystem::remove(path, ignored);  // never more than this one entry
    return nullptr;
  }
  ::futimens(fd.get(), nullptr);  // used now; where that cannot be noted, it goes a little earlier
  return embedding;
}

void EmbeddingFiles::write(const ImageHash& key, const ImageEmbedding& embedding) {
  const std::uint64_t size = sizeof(Header) + embedding.size_bytes();
  const std::filesystem::path path = file_of(key);
  std::error_code error;
  if (failed_ || size > folder_.limit_bytes || std::filesystem::exists(path, error)) return;
  if (const Status status = write_file(path, key, embedding); !status) {
    failed_ = true;
    log::warn("embeddings are not kept on the disk: {}", status.error().message);
    return;
  }
  // Others may write there as well: together with them, it is a little too large at most.
  constexpr std::uint64_t kLooks = 16;
  unseen_bytes_ = unseen_bytes_ > folder_.limit_bytes ? unseen_bytes_ : unseen_bytes_ + size;
  if (unseen_bytes_ > folder_.limit_bytes / kLooks) trim();
}

Status EmbeddingFiles::write_file(const std::filesystem::path& path, const ImageHash& key,
                                  const ImageEmbedding& embedding) const {
  std::error_code error;
  if (std::filesystem::create_directories(folder_.path, error)) {
    std::filesystem::permissions(folder_.path, std::filesystem::perms::owner_all, error);
  }
  std::string unfinished = (folder_.path / "XXXXXX").native() + std::string(kUnfinishedSuffix);
  const FileDescriptor fd(
      ::mkostemps(unfinished.data(), static_cast<int>(kUnfinishedSuffix.size()), O_CLOEXEC));  // 0600
  if (!fd) return fail(errc_of(errno), "{}: {}", printable(folder_.path), errno_text(errno));
  Header header = {.identity = identity_,
                   .key_high = key.high,
                   .key_low = key.low,
                   .tokens = embedding.tokens,
                   .width = embedding.width,
                   .columns = embedding.columns,
                   .rows = embedding.rows,
                   .positions = embedding.positions};
  header.checksum = checksum(header, embedding.values);
  Status status = write_all(fd, bytes_of(header));
  if (status) status = write_all(fd, std::as_bytes(std::span(embedding.values)));
  // Not synced: a file that a power failure cut off has a wrong checksum, and is made anew.
  if (status && ::rename(unfinished.c_str(), path.c_str()) != 0) status = fail(errc_of(errno), "{}", errno_text(errno));
  if (status) return {};
  ::unlink(unfinished.c_str());
  return fail(status.error().code, "{}: {}", printable(folder_.path), status.error().message);
}

void EmbeddingFiles::trim() {
  struct File {
    std::filesystem::file_time_type used;
    std::uint64_t bytes = 0;
    std::filesystem::path path;
  };
  std::vector<File> files;
  std::uint64_t total = 0;
  std::error_code error;
  const auto now = std::filesystem::file_time_type::clock::now();
  std::filesystem::directory_iterator entry(folder_.path, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    // Any of these may go while we look; then it has neither size nor time, and there is nothing to remove.
    std::error_code gone;
    const auto extension = entry->path().extension();
    if (extension != kSuffix && extension != kUnfinishedSuffix) continue;
    const std::uint64_t bytes = entry->file_size(gone);
    const auto used = gone ? now : entry->last_write_time(gone);
    if (gone) continue;
    if (extension == kSuffix) {
      files.push_back({used, bytes, entry->path()});
      total += bytes;
    } else if (now - used > kUnfinishedAge) {
      std::filesystem::remove(entry->path(), gone);
    }
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.used < b.used; });
  if (total > folder_.limit_bytes) {
    // A little more than needed, so that a full folder is not looked through at every file.
    const std::uint64_t wanted = folder_.limit_bytes - folder_.limit_bytes / 10;
    for (const File& file : files) {
      if (total <= wanted) break;
      std::error_code gone;
      std::filesystem::remove(file.path, gone);
      total -= file.bytes;
    }
  }
  unseen_bytes_ = 0;
}

}  // namespace escribano::engine
