#include "models/import_cache.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "models/hf_config.h"
#include "models/hf_tokenizer.h"
#include "models/json_checks.h"
#include "models/sha256.h"

namespace escribano::models {
namespace {

using nlohmann::json;

constexpr std::uint64_t max_small_file_bytes = 64u << 20;
constexpr std::size_t chunk_bytes = 16u << 20;
constexpr std::uint64_t max_record_bytes = 1u << 16;

// What the file system says about a file. Equal identities mean an unchanged file: contents cannot be changed without
// the time of change (ctime) moving, short of setting back the machine's clock.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;

  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

std::int64_t to_ns(const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

Result<FileIdentity> identify(const std::filesystem::path& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) {
    return fail(Errc::io_error, "{}: {}", printable(path), std::error_code(errno, std::generic_category()).message());
  }
#ifdef __APPLE__
  const timespec modified = info.st_mtimespec;
  const timespec changed = info.st_ctimespec;
#else
  const timespec modified = info.st_mtim;
  const timespec changed = info.st_ctim;
#endif
  return FileIdentity{static_cast<std::uint64_t>(info.st_dev), static_cast<std::uint64_t>(info.st_ino),
                      static_cast<std::uint64_t>(info.st_size), to_ns(modified), to_ns(changed)};
}

// A file changed this recently could change again within the same tick of the file system's clock.
bool may_still_change(const FileIdentity& identity) {
  const std::int64_t now_ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  return now_ns - std::max(identity.changed_ns, identity.modified_ns) < 2'000'000'000;
}

json to_json(const FileIdentity& identity) {
  return {{"device", identity.device},
          {"inode", identity.inode},
          {"size_bytes", identity.size_bytes},
          {"modified_ns", identity.modified_ns},
          {"changed_ns", identity.changed_ns}};
}

std::string digest_of(std::string_view text) {
  Sha256 hash;
  hash.update(text);
  return hash.hex_digest();
}

bool is_digest(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// The remembered digests. Losing one costs time, so whatever is wrong with a record just means that it is not there.
class DigestMemory {
 public:
  explicit DigestMemory(const std::filesystem::path& root) : folder_(root / "digests") {}

  std::optional<std::string> find(const FileIdentity& identity) const {
    const auto document = read_json_object(record(identity), max_record_bytes);
    if (!document || document->value("file", json()) != to_json(identity)) return std::nullopt;
    const json digest = document->value("digest", json());
    if (!digest.is_string() || !is_digest(digest.get<std::string>())) return std::nullopt;
    return digest.get<std::string>();
  }

  void remember(const FileIdentity& identity, const std::string& digest) const {
    std::error_code ignored;
    std::filesystem::create_directories(folder_, ignored);
    const json document = {{"file", to_json(identity)}, {"digest", digest}};
    const Status written = write_file_atomically(record(identity), document.dump());
    if (!written) log::debug("digest not remembered: {}", written.error().message);
  }

 private:
  // One record a file of the disk, overwritten when that file changes.
  std::filesystem::path record(const FileIdentity& identity) const {
    return folder_ / fmt::format("{:x}-{:x}.json", identity.device, identity.inode);
  }

  std::filesystem::path folder_;
};

Result<std::string> read_digest(const SafetensorsFile& file, std::uint64_t& done, std::uint64_t total,
                                const ImportReporter& reporter) {
  Sha256 hash;
  const auto bytes = file.file_bytes();
  for (std::size_t at = 0; at < bytes.size(); at += chunk_bytes) {
    const std::size_t size = std::min(chunk_bytes, bytes.size() - at);
    hash.update(bytes.subspan(at, size));
    file.drop(at, size);
    done += size;
    ESCRIBANO_CHECK(reporter.report(ImportProgress::Stage::reading, done, total));
  }
  return hash.hex_digest();
}

// What of a folder besides the weights ends up in the pair.
Result<std::string> small_files_digest(const std::filesystem::path& folder) {
  Sha256 hash;
  const auto add = [&](const char* name) -> Status {
    auto text = read_text_file(folder / name, max_small_file_bytes);
    if (!text && text.error().code == Errc::not_found) return {};
    if (!text) return fail(std::move(text).error());
    hash.update(fmt::format("{}\n{}\n", name, digest_of(*text)));
    return {};
  };
  for (const char* name : config_files) ESCRIBANO_CHECK(add(name));
  for (const char* name : tokenizer_files) ESCRIBANO_CHECK(add(name));
  return hash.hex_digest();
}

auto cannot_use(const std::filesystem::path& path, const std::error_code& error) {
  const bool refused = error == std::errc::permission_denied || error == std::errc::operation_not_permitted ||
                       error == std::errc::read_only_file_system;
  return fail(refused ? Errc::not_permitted : Errc::io_error, "the folder for imported models, {}, cannot be used: {}",
              printable(path), error.message());
}

}  // namespace

Status ImportReporter::report(ImportProgress::Stage stage, std::uint64_t done_bytes, std::uint64_t total_bytes) const {
  if (callback_ && !callback_({stage, done_bytes, total_bytes})) return fail(Errc::cancelled, "the import was stopped");
  return {};
}

Result<std::optional<std::string>> ImportCache::key(const std::filesystem::path& folder,
                                                    const SafetensorsFolder& weights, const ImportOptions& options,
                                                    bool known_only, const ImportReporter& reporter) const {
  ESCRIBANO_TRY(const std::string small_files, small_files_digest(folder));
  Sha256 hash;
  hash.update(
      fmt::format("escribano import {}\n{}\n{}\n", importer_version, static_cast<int>(*options.weights), small_files));
  if (options.quantize) hash.update(fmt::format("{}\n", quantization_name(*options.quantize)));
  const DigestMemory memory(root_);
  std::uint64_t done = 0;
  for (const auto& shard : weights.shards()) {
    ESCRIBANO_TRY(const FileIdentity before, identify(folder / shard.file_name));
    std::optional<std::string> digest = memory.find(before);
    if (digest) {
      done += before.size_bytes;
    } else if (known_only) {
      return std::optional<std::string>();
    } else {
      ESCRIBANO_TRY(digest, read_digest(shard.file, done, weights.total_bytes(), reporter));
      ESCRIBANO_TRY(const FileIdentity after, identify(folder / shard.file_name));
      if (before == after && !may_still_change(before)) memory.remember(before, *digest);
    }
    hash.update(fmt::format("{}\n{}\n{}\n", shard.file_name, shard.file.file_bytes().size(), *digest));
  }
  return std::optional(hash.hex_digest().substr(0, 32));
}

std::optional<ModelFiles> ImportCache::find(const std::string& key, const std::string& name) const {
  const auto document = read_json_object(root_ / key / "import.json", max_record_bytes);
  if (!document) return std::nullopt;
  const auto whole = [&](const std::filesystem::path& path, const char* size_key) {
    std::error_code error;
    const std::uint64_t size = std::filesystem::file_size(path, error);
    return !error && document->value(size_key, json()) == json(size);
  };
  if (!whole(model_path(key), "model_bytes") || !whole(projector_path(key), "projector_bytes")) return std::nullopt;
  return ModelFiles{model_path(key), projector_path(key), name};
}

Result<ImportCache::Lock> ImportCache::lock(const std::string& key, const ImportReporter& reporter) const {
  std::error_code error;
  std::filesystem::create_directories(root_ / key, error);
  if (error) return cannot_use(root_, error);
  FileDescriptor fd(::open((root_ / (key + ".lock")).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd) return cannot_use(root_, std::error_code(errno, std::generic_category()));
  // Polled rather than blocked in, so that whoever waits can be told and can stop waiting.
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return cannot_use(root_, std::error_code(errno, std::generic_category()));
    ESCRIBANO_CHECK(reporter.report(ImportProgress::Stage::waiting, 0, 0));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return Lock(std::move(fd));
}

void ImportCache::discard(const std::string& key) const {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(root_ / key, ignored)) {
    std::filesystem::remove(entry.path(), ignored);
  }
}

Status ImportCache::prepare(const std::string& key, std::uint64_t bytes) const {
  discard(key);
  std::error_code error;
  const auto space = std::filesystem::space(root_, error);
  if (!error && space.available < bytes) {
    return fail(Errc::io_error, "importing needs {} MB below {}, where {} MB are free", bytes / 1'000'000 + 1,
                printable(root_), space.available / 1'000'000);
  }
  return {};
}

Status ImportCache::mark_finished(const std::string& key) const {
  std::error_code error;
  const std::uint64_t model_bytes = std::filesystem::file_size(model_path(key), error);
  if (error) return cannot_use(root_, error);
  const std::uint64_t projector_bytes = std::filesystem::file_size(projector_path(key), error);
  if (error) return cannot_use(root_, error);
  std::filesystem::remove(unquantized_path(key), error);
  if (error) return cannot_use(root_, error);
  const json document = {
      {"importer", importer_version}, {"model_bytes", model_bytes}, {"projector_bytes", projector_bytes}};
  return write_file_atomically(root_ / key / "import.json", document.dump(1) + "\n");
}

}  // namespace escribano::models
