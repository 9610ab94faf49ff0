#include "models/safetensors.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

#include "base/utf8.h"
#include "models/json_checks.h"

namespace escribano::models {
namespace {

using nlohmann::json;

constexpr const char* single_file = "model.safetensors";
constexpr const char* index_file = "model.safetensors.index.json";
constexpr std::uint64_t max_index_bytes = 16u << 20;
constexpr std::size_t max_shards = 1000;
constexpr std::size_t max_rank = 8;
// PyTorch and GGUF count elements in signed 64-bit numbers.
constexpr std::uint64_t max_elements = std::uint64_t{1} << 62;

struct DtypeInfo {
  std::string_view name;
  Dtype dtype;
  std::uint64_t size_bytes;
};

// github.com/huggingface/safetensors, README "Format" and src/tensor.rs.
constexpr std::array dtypes = {
    DtypeInfo{"BF16", Dtype::bf16, 2},     DtypeInfo{"F16", Dtype::f16, 2},       DtypeInfo{"F32", Dtype::f32, 4},
    DtypeInfo{"F64", Dtype::other, 8},     DtypeInfo{"I64", Dtype::other, 8},     DtypeInfo{"I32", Dtype::other, 4},
    DtypeInfo{"I16", Dtype::other, 2},     DtypeInfo{"I8", Dtype::other, 1},      DtypeInfo{"U64", Dtype::other, 8},
    DtypeInfo{"U32", Dtype::u32, 4},       DtypeInfo{"U16", Dtype::other, 2},     DtypeInfo{"U8", Dtype::other, 1},
    DtypeInfo{"BOOL", Dtype::other, 1},    DtypeInfo{"F8_E5M2", Dtype::other, 1}, DtypeInfo{"F8_E4M3", Dtype::other, 1},
    DtypeInfo{"F8_E8M0", Dtype::other, 1}, DtypeInfo{"C64", Dtype::other, 8},
};

std::string shown(std::string_view text) { return to_valid_utf8(text.substr(0, 120)); }

std::uint64_t read_u64(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i > 0; --i) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i - 1]);
  return value;
}

// The product of the shape times `element`, or nothing where it overflows.
std::optional<std::uint64_t> byte_size(const std::vector<std::uint64_t>& shape, std::uint64_t element) {
  std::uint64_t size = element;
  for (const std::uint64_t extent : shape) {
    if (extent != 0 && size > max_elements / extent) return std::nullopt;
    size *= extent;
  }
  return size;
}

Result<std::vector<std::uint64_t>> parse_shape(const JsonObject& entry) {
  const json* shape = entry.find("shape");
  if (shape == nullptr || !shape->is_array() || shape->size() > max_rank) {
    return fail(Errc::corrupt, "{}: shape must be a list of at most {} numbers", entry.where(), max_rank);
  }
  std::vector<std::uint64_t> result;
  for (const json& extent : *shape) {
    if (!extent.is_number_unsigned()) return fail(Errc::corrupt, "{}: shape must hold whole numbers", entry.where());
    result.push_back(extent.get<std::uint64_t>());
  }
  return result;
}

Result<SafeTensor> parse_tensor(const std::string& name, const json& value, std::uint64_t data_begin,
                                std::uint64_t data_size, std::string_view what) {
  const std::string where = fmt::format("{}: tensor {}", what, shown(name));
  if (!value.is_object()) return fail(Errc::corrupt, "{} is not described by an object", where);
  const JsonObject entry(value, where);
  SafeTensor tensor;
  tensor.name = name;
  ESCRIBANO_TRY(const auto dtype, entry.optional_string("dtype"));
  if (!dtype) return fail(Errc::corrupt, "{}: dtype is missing", where);
  const auto known = std::ranges::find(dtypes, *dtype, &DtypeInfo::name);
  if (known == dtypes.end()) return fail(Errc::unsupported, "{} has the unknown element type {}", where, shown(*dtype));
  tensor.dtype = known->dtype;
  tensor.dtype_name = known->name;
  ESCRIBANO_TRY(tensor.shape, parse_shape(entry));

  const json* offsets = entry.find("data_offsets");
  if (offsets == nullptr || !offsets->is_array() || offsets->size() != 2 || !(*offsets)[0].is_number_unsigned() ||
      !(*offsets)[1].is_number_unsigned()) {
    return fail(Errc::corrupt, "{}: data_offsets must be two whole numbers", where);
  }
  const auto begin = (*offsets)[0].get<std::uint64_t>();
  const auto end = (*offsets)[1].get<std::uint64_t>();
  if (begin > end) return fail(Errc::corrupt, "{} ends before it begins (data_offsets {}, {})", where, begin, end);
  const auto expected = byte_size(tensor.shape, known->size_bytes);
  if (!expected || *expected != end - begin) {
    return fail(Errc::corrupt, "{} has {} bytes of data, which is not its shape times {}", where, end - begin, *dtype);
  }
  if (end > data_size) {
    return fail(Errc::corrupt, "{} is cut off: tensor {} ends {} bytes past the end of the file", what, shown(name),
                end - data_size);
  }
  tensor.begin = data_begin + begin;
  tensor.size_bytes = end - begin;
  return tensor;
}

Result<std::map<std::string, std::string>> parse_metadata(const json& value, std::string_view what) {
  std::map<std::string, std::string> metadata;
  if (!value.is_object()) return fail(Errc::corrupt, "{}: __metadata__ is not an object", what);
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) return fail(Errc::corrupt, "{}: __metadata__ must hold strings only", what);
    metadata.emplace(key, text.get<std::string>());
  }
  return metadata;
}

// The format allows neither overlaps nor holes: data that no tensor owns could hide anything.
Status check_tiling(const SafetensorsHeader& header, std::uint64_t data_begin, std::uint64_t file_size,
                    std::string_view what) {
  std::uint64_t expected = data_begin;
  for (const SafeTensor& tensor : header.tensors) {
    if (tensor.begin < expected) return fail(Errc::corrupt, "{}: tensor {} overlaps another", what, shown(tensor.name));
    if (tensor.begin > expected) {
      return fail(Errc::corrupt, "{}: {} bytes before tensor {} belong to no tensor", what, tensor.begin - expected,
                  shown(tensor.name));
    }
    expected += tensor.size_bytes;
  }
  if (expected != file_size) {
    return fail(Errc::corrupt, "{}: {} bytes at the end belong to no tensor", what, file_size - expected);
  }
  return {};
}

// A shard is a plain file of the folder itself. Anything else ("../x", "/etc/x", "a/b") could reach outside it.
bool is_plain_file_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

// File names in the order of the index, and for each tensor of the index the file that must hold it.
struct ShardIndex {
  std::set<std::string> files;
  std::map<std::string, std::string> file_of;
};

Result<ShardIndex> read_index(const std::filesystem::path& path) {
  ESCRIBANO_TRY(const json document, read_json_object(path, max_index_bytes));
  ESCRIBANO_TRY(const JsonObject map, JsonObject(document, printable(path)).required_object("weight_map"));
  ShardIndex index;
  for (const auto& [tensor, file] : document["weight_map"].items()) {
    if (!file.is_string() || !is_plain_file_name(file.get_ref<const std::string&>())) {
      return fail(Errc::corrupt, "{}: the shard of {} must be the name of a file in the same folder", map.where(),
                  shown(tensor));
    }
    index.files.insert(file.get<std::string>());
    index.file_of.emplace(tensor, file.get<std::string>());
  }
  if (index.files.empty()) return fail(Errc::corrupt, "{} names no tensor", map.where());
  if (index.files.size() > max_shards) {
    return fail(Errc::too_large, "{} names {} shards; the limit is {}", map.where(), index.files.size(), max_shards);
  }
  return index;
}

}  // namespace

Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> file, std::string_view what) {
  if (file.size() < 8) return fail(Errc::corrupt, "{} is cut off: {} bytes are no safetensors file", what, file.size());
  const std::uint64_t header_size = read_u64(file);
  if (header_size > file.size() - 8) {
    return fail(Errc::corrupt, "{} is cut off or no safetensors file: its header would take {} bytes, {} are there",
                what, header_size, file.size() - 8);
  }
  if (header_size > max_safetensors_header_bytes) {
    return fail(Errc::too_large, "{} has a header of {} bytes; the limit is {}", what, header_size,
                max_safetensors_header_bytes);
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + 8, static_cast<std::size_t>(header_size));
  ESCRIBANO_TRY(const json document, parse_json(text, fmt::format("the header of {}", what), 4));
  if (!document.is_object()) return fail(Errc::corrupt, "the header of {} is not a JSON object", what);

  const std::uint64_t data_begin = 8 + header_size;
  SafetensorsHeader header;
  for (const auto& [name, value] : document.items()) {
    if (name == "__metadata__") {
      ESCRIBANO_TRY(header.metadata, parse_metadata(value, what));
      continue;
    }
    ESCRIBANO_TRY(SafeTensor tensor, parse_tensor(name, value, data_begin, file.size() - data_begin, what));
    header.tensors.push_back(std::move(tensor));
  }
  // An empty tensor sorts before the one that starts at the same offset.
  std::ranges::sort(header.tensors, {},
                    [](const SafeTensor& tensor) { return std::pair(tensor.begin, tensor.size_bytes); });
  ESCRIBANO_CHECK(check_tiling(header, data_begin, file.size(), what));
  return header;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  ESCRIBANO_TRY(MappedFile file, MappedFile::open(path));
  ESCRIBANO_TRY(SafetensorsHeader header, parse_safetensors(file.bytes(), printable(path)));
  return SafetensorsFile(std::move(file), std::move(header));
}

Result<SafetensorsFolder> SafetensorsFolder::open(const std::filesystem::path& folder) {
  ShardIndex index;
  std::error_code ignored;
  if (std::filesystem::exists(folder / index_file, ignored)) {
    ESCRIBANO_TRY(index, read_index(folder / index_file));
  } else if (std::filesystem::exists(folder / single_file, ignored)) {
    index.files.insert(single_file);
  } else {
    return fail(Errc::not_found, "{} has no weights: neither {} nor {} is there", printable(folder), index_file,
                single_file);
  }

  SafetensorsFolder result;
  for (const std::string& name : index.files) {
    auto file = SafetensorsFile::open(folder / name);
    if (!file && file.error().code == Errc::not_found) {
      return fail(Errc::not_found, "{} is incomplete: {} names {}, which is not there", printable(folder), index_file,
                  shown(name));
    }
    if (!file) return fail(std::move(file).error());
    result.shards_.push_back({name, *std::move(file)});
  }
  for (std::size_t shard = 0; shard < result.shards_.size(); ++shard) {
    for (const SafeTensor& tensor : result.shards_[shard].file.header().tensors) {
      const auto [held, is_new] = result.tensors_.emplace(tensor.name, Entry{shard, &tensor});
      if (!is_new) {
        return fail(Errc::corrupt, "{}: tensor {} is in both {} and {}", printable(folder), shown(tensor.name),
                    result.shards_[held->second.shard].file_name, result.shards_[shard].file_name);
      }
    }
  }
  for (const auto& [tensor, file] : index.file_of) {
    const auto held = result.tensors_.find(tensor);
    if (held == result.tensors_.end() || result.shards_[held->second.shard].file_name != file) {
      return fail(Errc::corrupt, "{}: {} says that {} holds tensor {}, but it does not", printable(folder), index_file,
                  file, shown(tensor));
    }
  }
  return result;
}

std::uint64_t SafetensorsFolder::total_bytes() const {
  std::uint64_t total = 0;
  for (const Shard& shard : shards_) total += shard.file.file_bytes().size();
  return total;
}

}  // namespace escribano::models
