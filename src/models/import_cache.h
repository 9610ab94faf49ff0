#pragma once

// Where imported pairs are kept: recognising contents, waiting for another importer, and telling a finished import from
// one that was cut short.
//
//   ROOT/KEY/model.gguf, mmproj.gguf, import.json (written last: what is listed there is whole)
//   ROOT/KEY.lock       locked with flock() while KEY is being made; never removed, which would break the lock
//   ROOT/digests/*.json digests of weight files that were read before

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "models/import.h"
#include "models/safetensors.h"

namespace escribano::models {

// Raise when the same folder would be turned into other files than before.
inline constexpr int importer_version = 1;

// Reports progress and says whether to go on.
class ImportReporter {
 public:
  explicit ImportReporter(ImportProgressCallback callback) : callback_(std::move(callback)) {}
  // Fails with cancelled where the caller wants to stop.
  Status report(ImportProgress::Stage stage, std::uint64_t done_bytes, std::uint64_t total_bytes) const;

 private:
  ImportProgressCallback callback_;
};

class ImportCache {
 public:
  explicit ImportCache(std::filesystem::path root) : root_(std::move(root)) {}

  // The identity of a folder's contents in the form that the options ask for (`weights` must be set). `known_only`:
  // nothing where a weight file would have to be read for it. Otherwise reads what is not remembered and remembers it.
  Result<std::optional<std::string>> key(const std::filesystem::path& folder, const SafetensorsFolder& weights,
                                         const ImportOptions& options, bool known_only,
                                         const ImportReporter& reporter) const;

  // The finished pair, or nothing.
  std::optional<ModelFiles> find(const std::string& key, const std::string& name) const;

  // Held while a pair is made; released on destruction, also when the process dies.
  class Lock {
   public:
    explicit Lock(FileDescriptor fd) : fd_(std::move(fd)) {}

   private:
    FileDescriptor fd_;
  };
  // Makes the folder of `key` and locks it, waiting for another importer.
  Result<Lock> lock(const std::string& key, const ImportReporter& reporter) const;

  std::filesystem::path model_path(const std::string& key) const { return root_ / key / "model.gguf"; }
  std::filesystem::path projector_path(const std::string& key) const { return root_ / key / "mmproj.gguf"; }
  // The language model before it is quantised; removed by mark_finished().
  std::filesystem::path unquantized_path(const std::string& key) const { return root_ / key / "unquantised.gguf"; }

  // To be called with the lock held: removes what an import that was killed left behind, and fails with io_error where
  // the disk has no room for `bytes`.
  Status prepare(const std::string& key, std::uint64_t bytes) const;
  // To be called with the lock held, after both files were written.
  Status mark_finished(const std::string& key) const;
  // To be called with the lock held: removes all files of an import that failed.
  void discard(const std::string& key) const;

 private:
  std::filesystem::path root_;
};

}  // namespace escribano::models
