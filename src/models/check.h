#pragma once

// The checks behind check_model(), one function a concern. Internal to models/.

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "models/gguf.h"
#include "models/model_files.h"

namespace escribano::models {

// Reads metadata of one file in the exact types that llama.cpp and libmtmd insist on. Every failure is model_invalid
// and names file and key.
class KeyReader {
 public:
  KeyReader(const GgufHeader& header, std::string what) : header_(&header), what_(std::move(what)) {}

  const GgufHeader& header() const { return *header_; }
  const std::string& what() const { return what_; }

  Result<std::optional<std::uint32_t>> optional_u32(std::string_view key, std::uint32_t min, std::uint32_t max) const;
  Result<std::uint32_t> u32(std::string_view key, std::uint32_t min, std::uint32_t max) const;
  Result<std::optional<float>> optional_f32(std::string_view key, float min, float max) const;
  Result<float> f32(std::string_view key, float min, float max) const;
  Result<std::optional<bool>> optional_bool(std::string_view key) const;
  Result<std::optional<std::string_view>> optional_string(std::string_view key) const;
  Result<std::string_view> string(std::string_view key) const;
  // Fails unless the key is missing or a whole number equal to `value`.
  Status absent_or(std::string_view key, std::uint64_t value) const;

 private:
  template <class T>
  auto wrong(std::string_view key, const T& expected) const {
    return fail(Errc::model_invalid, "{}: {} must be {}", what_, key, expected);
  }
  const GgufHeader* header_;
  std::string what_;
};

// Checks tensors of one file against what an architecture needs. Every failure is model_invalid and names the tensor.
class TensorChecker {
 public:
  TensorChecker(const GgufHeader& header, std::string what) : header_(&header), what_(std::move(what)) {}

  // A matrix {columns, rows} that ggml can multiply with; a vector in single precision.
  Status matrix(std::string_view name, std::uint64_t columns, std::uint64_t rows) const;
  Status vector(std::string_view name, std::uint64_t size) const;
  // Any shape, single precision or (where allowed) half precision.
  Status exact(std::string_view name, std::initializer_list<std::uint64_t> dims, bool half_allowed) const;
  bool has(std::string_view name) const { return header_->find_tensor(name) != nullptr; }

 private:
  Result<const GgufTensor*> shaped(std::string_view name, std::initializer_list<std::uint64_t> dims) const;
  const GgufHeader* header_;
  std::string what_;
};

// The language model of architecture qwen3vl or qwen2vl, as `info` says: fills the text fields of `info`.
Status check_qwenvl_text(const KeyReader& keys, ModelInfo& info);
// A projector of type qwen3vl_merger or qwen2.5vl_merger for the language model described by `info`, of architecture
// qwen3vl or qwen2vl: fills the vision fields.
Status check_qwenvl_vision(const KeyReader& keys, ModelInfo& info);

}  // namespace escribano::models
