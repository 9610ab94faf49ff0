#pragma once

// Writing GGUF version 3: the whole header first, then the tensors one by one, so that memory stays flat however large
// the model is.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "models/gguf.h"

namespace escribano::models {

// The header of a file to be: metadata in the order of the calls, then the tensors in the order in which their data
// will follow. Keys and tensor names must not repeat, and tensor shapes must be ones that GgufHeader::parse accepts.
class GgufBuilder {
 public:
  void add_u32(std::string_view key, std::uint32_t value);
  void add_f32(std::string_view key, float value);
  void add_bool(std::string_view key, bool value);
  void add_string(std::string_view key, std::string_view value);
  void add_strings(std::string_view key, std::span<const std::string> values);
  void add_i32s(std::string_view key, std::span<const std::int32_t> values);
  void add_f32s(std::string_view key, std::span<const float> values);
  void add_bools(std::string_view key, const std::vector<bool>& values);
  // `dims` innermost first.
  void add_tensor(std::string_view name, std::span<const std::uint64_t> dims, GgmlType type);

  // Everything up to the first byte of tensor data, padding included.
  std::string header() const;
  // Sizes of the tensors' data in order, without padding.
  const std::vector<std::uint64_t>& tensor_sizes() const { return tensor_sizes_; }
  // Of the whole file.
  std::uint64_t file_bytes() const;

 private:
  void add_key(std::string_view key, GgufType type);
  std::string metadata_;
  std::string tensor_infos_;
  std::uint64_t key_count_ = 0;
  std::vector<std::uint64_t> tensor_sizes_;
  std::uint64_t data_bytes_ = 0;
};

// Streams one file to a temporary name beside `path` and renames it when it is whole; a writer that is destroyed before
// finish() leaves nothing behind. All calls block; the first failure is final.
class GgufWriter {
 public:
  static Result<GgufWriter> create(const std::filesystem::path& path, const GgufBuilder& builder);
  GgufWriter(GgufWriter&&) noexcept = default;
  GgufWriter& operator=(GgufWriter&&) = delete;
  ~GgufWriter();

  // Appends data of the current tensor; pads and moves on to the next where that one is full. `bytes` must not pass the
  // end of the current tensor (internal error).
  Status append(std::span<const std::byte> bytes);
  // Syncs and renames. Fails with internal where tensor data is missing.
  Status finish();

 private:
  GgufWriter(FileDescriptor fd, std::filesystem::path path, std::string temporary, std::vector<std::uint64_t> sizes);
  Status write_all(std::string_view bytes);

  FileDescriptor fd_;
  std::filesystem::path path_;
  std::string temporary_;  // empty once renamed
  std::vector<std::uint64_t> sizes_;
  std::size_t tensor_ = 0;
  std::uint64_t written_ = 0;  // of the current tensor
};

}  // namespace escribano::models
