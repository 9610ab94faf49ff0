#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/error.h"
#include "engine/backend.h"
#include "engine/engine.h"
#include "image/hash.h"

namespace escribano::engine {

// Vision embeddings in a folder, one file each, so that they outlive the process: IDENTITY-PIXELS.emb, both as hashes. Only
// the owner can read them. What is in a file is used only if it is whole, of this version and this identity; anything else
// under such a name is removed and logged. Nothing that goes wrong here is an error for a frame.
//
// Several processes may share a folder: a file appears whole or not at all, is never changed, and may go at any moment.
class EmbeddingFiles {
 public:
  explicit EmbeddingFiles(EmbeddingFolder folder);

  // nullptr if there is none. Marks it as used now. Any thread; blocks for reading the file.
  std::shared_ptr<const ImageEmbedding> read(const ImageHash& key) const;

  // Does nothing where the file is there already or would be larger than the folder may become. Removes those used least
  // recently where the folder has become too large. After the first failure, which is logged, no more is written. One thread.
  void write(const ImageHash& key, const ImageEmbedding& embedding);

  std::filesystem::path file_of(const ImageHash& key) const;

 private:
  Status write_file(const std::filesystem::path& path, const ImageHash& key, const ImageEmbedding& embedding) const;
  void trim();

  const EmbeddingFolder folder_;
  const std::uint64_t identity_;
  bool failed_ = false;                 // the writing thread's, as the next
  std::uint64_t unseen_bytes_ = ~0ULL;  // written since the folder was looked through last
};

}  // namespace escribano::engine
