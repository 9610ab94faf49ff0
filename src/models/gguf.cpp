#include "models/gguf.h"

#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "base/utf8.h"

namespace escribano::models {

static_assert(std::endian::native == std::endian::little, "GGUF files are read in place as little-endian numbers");

namespace {

// Beyond anything real, and small enough that llama.cpp's own pairwise search for repeated names stays quick.
constexpr std::uint64_t max_keys = 1u << 14;
constexpr std::uint64_t max_tensors = 1u << 16;
constexpr std::uint64_t max_key_bytes = 65535;  // the format's own limit
constexpr std::uint64_t max_string_bytes = 64u << 20;
constexpr std::uint64_t max_array_elements = 1u << 26;
constexpr std::size_t max_tensor_name_bytes = 63;  // GGML_MAX_NAME less its terminator
constexpr std::uint64_t max_elements = std::uint64_t{1} << 62;

// Bytes of one value of a fixed-size type, 0 for strings and arrays.
std::uint64_t fixed_size(GgufType type) {
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean: return 1;
    case GgufType::u16:
    case GgufType::i16: return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32: return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64: return 8;
    case GgufType::string:
    case GgufType::array: return 0;
  }
  return 0;
}

template <class T>
T load(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

std::string shown(std::string_view text) { return to_valid_utf8(text.substr(0, 120)); }

// ggml.h (enum ggml_type) and ggml.c (type_traits) of the pinned llama.cpp; the gaps are types it has removed.
constexpr std::array<GgmlTypeInfo, 43> type_infos = {{
    {"F32", 1, 4, true},
    {"F16", 1, 2, true},
    {"Q4_0", 32, 18, true},
    {"Q4_1", 32, 20, true},
    {},
    {},
    {"Q5_0", 32, 22, true},
    {"Q5_1", 32, 24, true},
    {"Q8_0", 32, 34, true},
    {"Q8_1", 32, 36, false},
    {"Q2_K", 256, 84, true},
    {"Q3_K", 256, 110, true},
    {"Q4_K", 256, 144, true},
    {"Q5_K", 256, 176, true},
    {"Q6_K", 256, 210, true},
    {"Q8_K", 256, 292, false},
    {"IQ2_XXS", 256, 66, true},
    {"IQ2_XS", 256, 74, true},
    {"IQ3_XXS", 256, 98, true},
    {"IQ1_S", 256, 50, true},
    {"IQ4_NL", 32, 18, true},
    {"IQ3_S", 256, 110, true},
    {"IQ2_S", 256, 82, true},
    {"IQ4_XS", 256, 136, true},
    {"I8", 1, 1, false},
    {"I16", 1, 2, false},
    {"I32", 1, 4, false},
    {"I64", 1, 8, false},
    {"F64", 1, 8, false},
    {"IQ1_M", 256, 56, true},
    {"BF16", 1, 2, true},
    {},
    {},
    {},
    {"TQ1_0", 256, 54, true},
    {"TQ2_0", 256, 66, true},
    {},
    {},
    {},
    {"MXFP4", 32, 17, true},
    {"NVFP4", 64, 36, true},
    {"Q1_0", 128, 18, true},
    {"Q2_0", 64, 18, true},
}};

}  // namespace

const GgmlTypeInfo* ggml_type_info(std::uint32_t type) noexcept {
  if (type >= type_infos.size() || type_infos[type].block_bytes == 0) return nullptr;
  return &type_infos[type];
}

std::optional<std::uint64_t> GgufValue::as_uint() const {
  const auto non_negative = [](std::int64_t value) -> std::optional<std::uint64_t> {
    if (value < 0) return std::nullopt;
    return static_cast<std::uint64_t>(value);
  };
  switch (type_) {
    case GgufType::u8: return load<std::uint8_t>(bytes_);
    case GgufType::u16: return load<std::uint16_t>(bytes_);
    case GgufType::u32: return load<std::uint32_t>(bytes_);
    case GgufType::u64: return load<std::uint64_t>(bytes_);
    case GgufType::i8: return non_negative(load<std::int8_t>(bytes_));
    case GgufType::i16: return non_negative(load<std::int16_t>(bytes_));
    case GgufType::i32: return non_negative(load<std::int32_t>(bytes_));
    case GgufType::i64: return non_negative(load<std::int64_t>(bytes_));
    default: return std::nullopt;
  }
}

std::optional<std::uint32_t> GgufValue::as_u32() const {
  if (type_ != GgufType::u32) return std::nullopt;
  return load<std::uint32_t>(bytes_);
}

std::optional<float> GgufValue::as_f32() const {
  if (type_ != GgufType::f32) return std::nullopt;
  return load<float>(bytes_);
}

std::optional<bool> GgufValue::as_bool() const {
  if (type_ != GgufType::boolean) return std::nullopt;
  return load<std::uint8_t>(bytes_) != 0;
}

std::optional<std::string_view> GgufValue::as_string() const {
  if (type_ != GgufType::string) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(bytes_.data()), bytes_.size());
}

std::optional<std::vector<std::string_view>> GgufValue::as_strings() const {
  if (type_ != GgufType::array || element_type_ != GgufType::string) return std::nullopt;
  std::vector<std::string_view> result;
  result.reserve(static_cast<std::size_t>(count_));
  std::span<const std::byte> rest = bytes_;  // every length in it was checked by the parser
  for (std::uint64_t i = 0; i < count_; ++i) {
    const auto length = static_cast<std::size_t>(load<std::uint64_t>(rest));
    result.emplace_back(reinterpret_cast<const char*>(rest.data()) + 8, length);
    rest = rest.subspan(8 + length);
  }
  return result;
}

namespace {

template <class T, class Stored>
std::optional<std::vector<T>> elements(std::span<const std::byte> bytes, std::uint64_t count) {
  std::vector<T> result;
  result.reserve(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    result.push_back(static_cast<T>(load<Stored>(bytes.subspan(i * sizeof(Stored)))));
  }
  return result;
}

}  // namespace

std::optional<std::vector<std::int32_t>> GgufValue::as_i32s() const {
  if (type_ != GgufType::array || element_type_ != GgufType::i32) return std::nullopt;
  return elements<std::int32_t, std::int32_t>(bytes_, count_);
}

std::optional<std::vector<float>> GgufValue::as_f32s() const {
  if (type_ != GgufType::array || element_type_ != GgufType::f32) return std::nullopt;
  return elements<float, float>(bytes_, count_);
}

std::optional<std::vector<bool>> GgufValue::as_bools() const {
  if (type_ != GgufType::array || element_type_ != GgufType::boolean) return std::nullopt;
  return elements<bool, std::uint8_t>(bytes_, count_);
}

const GgufValue* GgufHeader::find(std::string_view key) const {
  const auto found = key_index_.find(key);
  return found == key_index_.end() ? nullptr : &metadata_[found->second].second;
}

const GgufTensor* GgufHeader::find_tensor(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

// A cursor over the bytes that never passes their end.
class GgufParser {
 public:
  GgufParser(std::span<const std::byte> file, std::string_view what) : file_(file), what_(what) {}

  Result<GgufHeader> parse();

 private:
  std::uint64_t remaining() const { return file_.size() - at_; }

  // At least `missing` bytes are missing: what follows the header is unknown when the header itself ends early.
  auto cut_off(std::uint64_t missing) const {
    return fail(Errc::corrupt, "{} is cut off inside its header: at least {} bytes are missing", what_, missing);
  }

  Result<std::span<const std::byte>> take(std::uint64_t size) {
    if (size > remaining()) return cut_off(size - remaining());
    const auto bytes = file_.subspan(at_, static_cast<std::size_t>(size));
    at_ += static_cast<std::size_t>(size);
    return bytes;
  }

  template <class T>
  Result<T> number() {
    ESCRIBANO_TRY(const auto bytes, take(sizeof(T)));
    return load<T>(bytes);
  }

  Result<std::span<const std::byte>> string_bytes(std::uint64_t limit) {
    ESCRIBANO_TRY(const auto length, number<std::uint64_t>());
    if (length > limit) {
      return fail(Errc::corrupt, "{} holds a string of {} bytes where at most {} can be", what_, length, limit);
    }
    return take(length);
  }

  Result<GgufType> type(std::string_view key) {
    ESCRIBANO_TRY(const auto value, number<std::uint32_t>());
    if (value > static_cast<std::uint32_t>(GgufType::f64)) {
      return fail(Errc::corrupt, "{}: {} has the unknown type {}", what_, shown(key), value);
    }
    return static_cast<GgufType>(value);
  }

  Status read_counts(std::uint64_t& tensors, std::uint64_t& keys);
  Result<GgufValue> read_value(std::string_view key);
  Status read_array(std::string_view key, GgufValue& value);
  Status read_metadata(std::uint64_t count, GgufHeader& header);
  Status read_alignment(GgufHeader& header);
  Result<GgufTensor> read_tensor();
  Status read_shape(GgufTensor& tensor);
  Status place_tensors(std::uint64_t count, GgufHeader& header);

  std::span<const std::byte> file_;
  std::string_view what_;
  std::size_t at_ = 0;
};

Status GgufParser::read_counts(std::uint64_t& tensors, std::uint64_t& keys) {
  ESCRIBANO_TRY(tensors, number<std::uint64_t>());
  ESCRIBANO_TRY(keys, number<std::uint64_t>());
  if (keys > max_keys || tensors > max_tensors) {
    return fail(Errc::too_large, "{} claims {} keys and {} tensors; the limits are {} and {}", what_, keys, tensors,
                max_keys, max_tensors);
  }
  return {};
}

Status GgufParser::read_array(std::string_view key, GgufValue& value) {
  ESCRIBANO_TRY(value.element_type_, type(key));
  ESCRIBANO_TRY(value.count_, number<std::uint64_t>());
  if (value.element_type_ == GgufType::array) {
    return fail(Errc::unsupported, "{}: {} is a list of lists, which llama.cpp does not read", what_, shown(key));
  }
  if (value.count_ > max_array_elements) {
    return fail(Errc::too_large, "{}: {} claims {} elements; the limit is {}", what_, shown(key), value.count_,
                max_array_elements);
  }
  const std::size_t begin = at_;
  if (const std::uint64_t size = fixed_size(value.element_type_); size != 0) {
    ESCRIBANO_TRY(value.bytes_, take(size * value.count_));
    return {};
  }
  for (std::uint64_t i = 0; i < value.count_; ++i) {
    if (const auto text = string_bytes(max_string_bytes); !text) return fail(text.error());
  }
  value.bytes_ = file_.subspan(begin, at_ - begin);
  return {};
}

Result<GgufValue> GgufParser::read_value(std::string_view key) {
  GgufValue value;
  ESCRIBANO_TRY(value.type_, type(key));
  if (value.type_ == GgufType::array) {
    ESCRIBANO_CHECK(read_array(key, value));
  } else if (value.type_ == GgufType::string) {
    ESCRIBANO_TRY(value.bytes_, string_bytes(max_string_bytes));
  } else {
    ESCRIBANO_TRY(value.bytes_, take(fixed_size(value.type_)));
  }
  return value;
}

Status GgufParser::read_metadata(std::uint64_t count, GgufHeader& header) {
  for (std::uint64_t i = 0; i < count; ++i) {
    ESCRIBANO_TRY(const auto bytes, string_bytes(max_key_bytes));
    const std::string_view key(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (key.empty()) return fail(Errc::corrupt, "{} has a key without a name", what_);
    ESCRIBANO_TRY(const GgufValue value, read_value(key));
    if (!header.key_index_.emplace(key, header.metadata_.size()).second) {
      return fail(Errc::corrupt, "{} has the key {} twice", what_, shown(key));
    }
    header.metadata_.emplace_back(key, value);
  }
  return {};
}

Status GgufParser::read_alignment(GgufHeader& header) {
  const GgufValue* value = header.find("general.alignment");
  if (value == nullptr) return {};
  const auto alignment = value->as_u32();
  if (!alignment || !std::has_single_bit(*alignment) || *alignment > (1u << 20)) {
    return fail(Errc::corrupt, "{}: general.alignment must be a power of two of type u32, at most 1 MiB", what_);
  }
  header.alignment_ = *alignment;
  return {};
}

Status GgufParser::read_shape(GgufTensor& tensor) {
  ESCRIBANO_TRY(const auto rank, number<std::uint32_t>());
  if (rank == 0 || rank > 4) {
    return fail(Errc::corrupt, "{}: tensor {} has {} dimensions; 1 to 4 are possible", what_, shown(tensor.name), rank);
  }
  std::uint64_t elements = 1;
  for (std::uint32_t i = 0; i < rank; ++i) {
    ESCRIBANO_TRY(const auto extent, number<std::uint64_t>());
    if (extent == 0 || extent > max_elements / elements) {
      return fail(Errc::corrupt, "{}: tensor {} has an impossible shape", what_, shown(tensor.name));
    }
    elements *= extent;
    tensor.dims.push_back(extent);
  }
  ESCRIBANO_TRY(tensor.type, number<std::uint32_t>());
  const GgmlTypeInfo* info = ggml_type_info(tensor.type);
  if (info == nullptr) {
    return fail(Errc::unsupported, "{}: tensor {} has the element type {}, which ggml does not know", what_,
                shown(tensor.name), tensor.type);
  }
  if (tensor.dims[0] % info->block_elements != 0) {
    return fail(Errc::corrupt, "{}: tensor {} has rows of {} elements, not a multiple of {}'s {}", what_,
                shown(tensor.name), tensor.dims[0], info->name, info->block_elements);
  }
  const std::uint64_t blocks = elements / info->block_elements;
  if (blocks > max_elements / info->block_bytes) {
    return fail(Errc::corrupt, "{}: tensor {} has an impossible shape", what_, shown(tensor.name));
  }
  tensor.size_bytes = blocks * info->block_bytes;
  return {};
}

// `begin` of the result is still relative to the data section.
Result<GgufTensor> GgufParser::read_tensor() {
  ESCRIBANO_TRY(const auto bytes, string_bytes(max_tensor_name_bytes));
  GgufTensor tensor;
  tensor.name = std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  // ggml keeps names as C strings: what follows a zero byte would vanish, and with it the difference of two names.
  if (tensor.name.empty() || tensor.name.find('\0') != std::string_view::npos) {
    return fail(Errc::corrupt, "{} has a tensor with an impossible name", what_);
  }
  ESCRIBANO_CHECK(read_shape(tensor));
  ESCRIBANO_TRY(tensor.begin, number<std::uint64_t>());
  return tensor;
}

// llama.cpp wants each tensor exactly where the one before it ends, rounded up to the alignment; so no two overlap.
Status GgufParser::place_tensors(std::uint64_t count, GgufHeader& header) {
  const std::uint64_t mask = header.alignment_ - 1;
  header.data_begin_ = (at_ + mask) & ~mask;
  std::uint64_t expected = 0;
  std::uint64_t end = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    GgufTensor& tensor = header.tensors_[static_cast<std::size_t>(i)];
    if (tensor.begin != expected) {
      return fail(Errc::corrupt, "{}: tensor {} starts at {} where {} is expected", what_, shown(tensor.name),
                  tensor.begin, expected);
    }
    end = expected + tensor.size_bytes;
    if (end > max_elements) return fail(Errc::corrupt, "{}: its tensors are larger than any file", what_);
    expected = (end + mask) & ~mask;
    tensor.begin += header.data_begin_;
  }
  if (count > 0 && header.data_begin_ + end > file_.size()) {
    return fail(Errc::corrupt, "{} is cut off: {} of its {} bytes are missing", what_,
                header.data_begin_ + end - file_.size(), header.data_begin_ + end);
  }
  return {};
}

Result<GgufHeader> GgufParser::parse() {
  GgufHeader header;
  ESCRIBANO_TRY(const auto magic, take(4));
  if (std::memcmp(magic.data(), "GGUF", 4) != 0) return fail(Errc::corrupt, "{} is not a GGUF file", what_);
  ESCRIBANO_TRY(header.version_, number<std::uint32_t>());
  if ((header.version_ & 0xFFFF) == 0) {
    return fail(Errc::unsupported, "{} is a big-endian GGUF file, which cannot be used on this machine", what_);
  }
  if (header.version_ != 2 && header.version_ != 3) {
    return fail(Errc::unsupported, "{} is GGUF version {}; 2 and 3 can be read", what_, header.version_);
  }
  std::uint64_t tensor_count = 0;
  std::uint64_t key_count = 0;
  ESCRIBANO_CHECK(read_counts(tensor_count, key_count));
  ESCRIBANO_CHECK(read_metadata(key_count, header));
  ESCRIBANO_CHECK(read_alignment(header));
  for (std::uint64_t i = 0; i < tensor_count; ++i) {
    ESCRIBANO_TRY(GgufTensor tensor, read_tensor());
    if (!header.tensor_index_.emplace(tensor.name, header.tensors_.size()).second) {
      return fail(Errc::corrupt, "{} has the tensor {} twice", what_, shown(tensor.name));
    }
    header.tensors_.push_back(std::move(tensor));
  }
  ESCRIBANO_CHECK(place_tensors(tensor_count, header));
  return header;
}

Result<GgufHeader> GgufHeader::parse(std::span<const std::byte> file, std::string_view what) {
  return GgufParser(file, what).parse();
}

Result<GgufFile> GgufFile::open(const std::filesystem::path& path) {
  ESCRIBANO_TRY(MappedFile file, MappedFile::open(path));
  ESCRIBANO_TRY(GgufHeader header, GgufHeader::parse(file.bytes(), printable(path)));
  return GgufFile(std::move(file), std::move(header));
}

}  // namespace escribano::models
