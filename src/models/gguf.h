#pragma once

// Reading the container of GGUF files (versions 2 and 3, little-endian): metadata and where each tensor lies. Nothing
// in a file is believed: what would make llama.cpp or libmtmd abort the process must be found here first. Format:
// ggml's docs/gguf.md.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace escribano::models {

// The types of metadata values, numbered as in the file.
enum class GgufType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12
};

// The element types of tensors that this project writes, numbered as in ggml. Files may hold others (ggml_type_info).
enum class GgmlType : std::uint32_t { f32 = 0, f16 = 1, bf16 = 30 };

// How ggml stores a type: `block_elements` consecutive elements of a row take `block_bytes`.
struct GgmlTypeInfo {
  std::string_view name;
  std::uint32_t block_elements = 0;
  std::uint32_t block_bytes = 0;
  bool multipliable = false;  // whether ggml can multiply a matrix of this type; it aborts for the others
};
// Null for numbers that ggml does not use (any more). Static storage.
const GgmlTypeInfo* ggml_type_info(std::uint32_t type) noexcept;

// One metadata value. Strings and arrays are views into the bytes that were parsed.
class GgufValue {
 public:
  GgufType type() const { return type_; }
  // Of an array.
  GgufType element_type() const { return element_type_; }
  std::uint64_t count() const { return count_; }

  // Each returns nothing where the value has another type. as_uint takes every integer type that holds no negative
  // value, as_u32 only u32: libmtmd aborts on keys that are not of exactly the type it expects.
  std::optional<std::uint64_t> as_uint() const;
  std::optional<std::uint32_t> as_u32() const;
  std::optional<float> as_f32() const;
  std::optional<bool> as_bool() const;
  std::optional<std::string_view> as_string() const;
  std::optional<std::vector<std::string_view>> as_strings() const;
  std::optional<std::vector<std::int32_t>> as_i32s() const;
  std::optional<std::vector<float>> as_f32s() const;
  std::optional<std::vector<bool>> as_bools() const;

 private:
  friend class GgufParser;
  GgufType type_ = GgufType::u8;
  GgufType element_type_ = GgufType::u8;
  std::uint64_t count_ = 1;
  std::span<const std::byte> bytes_;  // of a string without its length; of an array its elements
};

// One tensor. `dims` is innermost first, as ggml counts: a PyTorch matrix [rows, columns] is {columns, rows}.
struct GgufTensor {
  std::string_view name;
  std::vector<std::uint64_t> dims;  // 1 to 4, none 0
  std::uint32_t type = 0;           // known to ggml_type_info
  std::uint64_t begin = 0;          // byte offset from the start of the file
  std::uint64_t size_bytes = 0;     // inside the file
};

class GgufHeader {
 public:
  // `file` is the whole file and must outlive the result; `what` names it in messages. Fails with corrupt (message says
  // how many bytes are missing where the file is cut off), too_large for counts beyond anything real, unsupported for
  // versions, byte orders and tensor types that llama.cpp does not read.
  static Result<GgufHeader> parse(std::span<const std::byte> file, std::string_view what);

  std::uint32_t version() const { return version_; }
  std::uint64_t alignment() const { return alignment_; }
  std::uint64_t data_begin() const { return data_begin_; }
  const std::vector<std::pair<std::string_view, GgufValue>>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  // Null where there is none of that name.
  const GgufValue* find(std::string_view key) const;
  const GgufTensor* find_tensor(std::string_view name) const;

 private:
  friend class GgufParser;
  std::uint32_t version_ = 0;
  std::uint64_t alignment_ = 32;
  std::uint64_t data_begin_ = 0;
  std::vector<std::pair<std::string_view, GgufValue>> metadata_;
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string_view, std::size_t> key_index_;
  std::unordered_map<std::string_view, std::size_t> tensor_index_;
};

// An open file: mapped, header read and checked. Thread-safe once opened.
class GgufFile {
 public:
  static Result<GgufFile> open(const std::filesystem::path& path);

  const GgufHeader& header() const { return header_; }
  std::uint64_t size_bytes() const { return file_.bytes().size(); }
  std::span<const std::byte> data(const GgufTensor& tensor) const {
    return file_.bytes().subspan(tensor.begin, tensor.size_bytes);
  }

 private:
  GgufFile(MappedFile file, GgufHeader header) : file_(std::move(file)), header_(std::move(header)) {}
  MappedFile file_;
  GgufHeader header_;
};

}  // namespace escribano::models
