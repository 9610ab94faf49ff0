#pragma once

// Reading Hugging Face's safetensors files. Everything in a file is taken as hostile: each number is checked against
// the file before memory is asked for because of it. Format: 8 bytes little-endian header length N, N bytes of JSON,
// data.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace escribano::models {

// Element types this project computes with, and that of packed weights; every other one the format knows is `other`.
enum class Dtype { bf16, f16, f32, u32, other };

// One tensor of a file. `shape` is outermost first, as PyTorch prints it.
struct SafeTensor {
  std::string name;
  Dtype dtype = Dtype::other;
  std::string dtype_name;            // as written, e.g. "BF16"
  std::vector<std::uint64_t> shape;  // empty: a scalar
  std::uint64_t begin = 0;           // byte offset from the start of the file
  std::uint64_t size_bytes = 0;      // product of the shape times the size of an element, inside the file
};

struct SafetensorsHeader {
  std::vector<SafeTensor> tensors;              // by offset
  std::map<std::string, std::string> metadata;  // "__metadata__"
};

// Longest header accepted. Files of models with hundreds of layers stay under 1 MiB.
inline constexpr std::uint64_t max_safetensors_header_bytes = 16u << 20;

// Reads the header of a whole file given as bytes; `what` names it in messages. Fails with corrupt where the header
// lies (lengths, JSON, offsets that overlap, leave holes or pass the end, sizes that are not shape times type, names
// that repeat), too_large where it exceeds the limit above, unsupported for an element type nobody has heard of.
Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> file, std::string_view what);

// One open file: mapped, header read. Thread-safe once opened.
class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const std::filesystem::path& path);

  const SafetensorsHeader& header() const { return header_; }
  std::span<const std::byte> file_bytes() const { return file_.bytes(); }
  // The data of a tensor of this file; little-endian, not necessarily aligned. Valid as long as this object lives.
  std::span<const std::byte> data(const SafeTensor& tensor) const {
    return file_.bytes().subspan(tensor.begin, tensor.size_bytes);
  }
  // Tells the kernel that the part is not needed again soon.
  void drop(std::uint64_t begin, std::uint64_t length) const { file_.drop(begin, length); }

 private:
  SafetensorsFile(MappedFile file, SafetensorsHeader header) : file_(std::move(file)), header_(std::move(header)) {}
  MappedFile file_;
  SafetensorsHeader header_;
};

// The weights of a folder: either every file named by model.safetensors.index.json or the single model.safetensors.
class SafetensorsFolder {
 public:
  struct Entry {
    std::size_t shard = 0;  // index into shards()
    const SafeTensor* tensor = nullptr;
  };
  struct Shard {
    std::string file_name;
    SafetensorsFile file;
  };

  // Fails with not_found where there is neither file, or where a shard is missing (named); corrupt where the index
  // names a shard outside the folder, a tensor that its shard lacks, or two shards hold the same name; otherwise with
  // what SafetensorsFile::open says.
  static Result<SafetensorsFolder> open(const std::filesystem::path& folder);

  const std::vector<Shard>& shards() const { return shards_; }
  const std::map<std::string, Entry, std::less<>>& tensors() const { return tensors_; }
  std::span<const std::byte> data(const Entry& entry) const { return shards_[entry.shard].file.data(*entry.tensor); }
  std::uint64_t total_bytes() const;  // of the files, headers included

 private:
  std::vector<Shard> shards_;
  std::map<std::string, Entry, std::less<>> tensors_;
};

}  // namespace escribano::models
