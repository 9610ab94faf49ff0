#include "models/check.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace escribano::models {

Result<std::optional<std::uint32_t>> KeyReader::optional_u32(std::string_view key, std::uint32_t min,
                                                             std::uint32_t max) const {
  const GgufValue* value = header_->find(key);
  if (value == nullptr) return std::optional<std::uint32_t>();
  const auto number = value->as_u32();
  if (!number || *number < min || *number > max) return wrong(key, fmt::format("a u32 from {} to {}", min, max));
  return number;
}

Result<std::uint32_t> KeyReader::u32(std::string_view key, std::uint32_t min, std::uint32_t max) const {
  ESCRIBANO_TRY(const auto value, optional_u32(key, min, max));
  if (!value) return fail(Errc::model_invalid, "{} lacks the key {}", what_, key);
  return *value;
}

Result<std::optional<float>> KeyReader::optional_f32(std::string_view key, float min, float max) const {
  const GgufValue* value = header_->find(key);
  if (value == nullptr) return std::optional<float>();
  const auto number = value->as_f32();
  if (!number || !(*number >= min && *number <= max)) return wrong(key, fmt::format("an f32 from {} to {}", min, max));
  return number;
}

Result<float> KeyReader::f32(std::string_view key, float min, float max) const {
  ESCRIBANO_TRY(const auto value, optional_f32(key, min, max));
  if (!value) return fail(Errc::model_invalid, "{} lacks the key {}", what_, key);
  return *value;
}

Result<std::optional<bool>> KeyReader::optional_bool(std::string_view key) const {
  const GgufValue* value = header_->find(key);
  if (value == nullptr) return std::optional<bool>();
  const auto flag = value->as_bool();
  if (!flag) return wrong(key, "a bool");
  return flag;
}

Result<std::optional<std::string_view>> KeyReader::optional_string(std::string_view key) const {
  const GgufValue* value = header_->find(key);
  if (value == nullptr) return std::optional<std::string_view>();
  const auto text = value->as_string();
  if (!text) return wrong(key, "a string");
  return text;
}

Result<std::string_view> KeyReader::string(std::string_view key) const {
  ESCRIBANO_TRY(const auto value, optional_string(key));
  if (!value) return fail(Errc::model_invalid, "{} lacks the key {}", what_, key);
  return *value;
}

Status KeyReader::absent_or(std::string_view key, std::uint64_t value) const {
  const GgufValue* found = header_->find(key);
  if (found == nullptr || found->as_uint() == value) return {};
  return wrong(key, value);
}

Result<const GgufTensor*> TensorChecker::shaped(std::string_view name,
                                                std::initializer_list<std::uint64_t> dims) const {
  const GgufTensor* tensor = header_->find_tensor(name);
  if (tensor == nullptr) return fail(Errc::model_invalid, "{} lacks the tensor {}", what_, name);
  // ggml counts four dimensions always; those beyond a file's are 1.
  std::vector<std::uint64_t> found = tensor->dims;
  while (found.size() > dims.size() && found.back() == 1) found.pop_back();
  while (found.size() < dims.size()) found.push_back(1);
  if (!std::ranges::equal(found, dims)) {
    return fail(Errc::model_invalid, "{}: tensor {} is [{}] where [{}] is needed", what_, name,
                fmt::join(tensor->dims, ", "), fmt::join(dims, ", "));
  }
  return tensor;
}

Status TensorChecker::matrix(std::string_view name, std::uint64_t columns, std::uint64_t rows) const {
  ESCRIBANO_TRY(const GgufTensor* tensor, shaped(name, {columns, rows}));
  const GgmlTypeInfo* info = ggml_type_info(tensor->type);
  if (!info->multipliable) {
    return fail(Errc::model_invalid, "{}: tensor {} has the element type {}, which cannot be multiplied", what_, name,
                info->name);
  }
  return {};
}

Status TensorChecker::exact(std::string_view name, std::initializer_list<std::uint64_t> dims, bool half_allowed) const {
  ESCRIBANO_TRY(const GgufTensor* tensor, shaped(name, dims));
  const bool half = tensor->type == static_cast<std::uint32_t>(GgmlType::f16);
  if (tensor->type == static_cast<std::uint32_t>(GgmlType::f32) || (half && half_allowed)) return {};
  return fail(Errc::model_invalid, "{}: tensor {} must have the element type F32{}, not {}", what_, name,
              half_allowed ? " or F16" : "", ggml_type_info(tensor->type)->name);
}

Status TensorChecker::vector(std::string_view name, std::uint64_t size) const { return exact(name, {size}, false); }

}  // namespace escribano::models
