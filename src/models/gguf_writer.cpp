#include "models/gguf_writer.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace escribano::models {
namespace {

constexpr std::uint64_t alignment = 32;  // GGUF's default, so the key general.alignment is not needed

std::uint64_t padded(std::uint64_t size) { return (size + alignment - 1) / alignment * alignment; }

template <class T>
void put(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void put_string(std::string& out, std::string_view text) {
  put<std::uint64_t>(out, text.size());
  out.append(text);
}

Errc errc_of(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR: return Errc::not_found;
    case EACCES:
    case EPERM:
    case EROFS: return Errc::not_permitted;
    default: return Errc::io_error;
  }
}

auto write_failure(const std::filesystem::path& path, int error) {
  return fail(errc_of(error), "{}: cannot be written: {}", printable(path),
              std::error_code(error, std::generic_category()).message());
}

// A rename survives a crash of the machine only once its folder is on the disk too.
Status sync_folder(const std::filesystem::path& folder) {
  const FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return write_failure(folder, errno);
  return {};
}

}  // namespace

void GgufBuilder::add_key(std::string_view key, GgufType type) {
  put_string(metadata_, key);
  put(metadata_, static_cast<std::uint32_t>(type));
  ++key_count_;
}

void GgufBuilder::add_u32(std::string_view key, std::uint32_t value) {
  add_key(key, GgufType::u32);
  put(metadata_, value);
}

void GgufBuilder::add_f32(std::string_view key, float value) {
  add_key(key, GgufType::f32);
  put(metadata_, value);
}

void GgufBuilder::add_bool(std::string_view key, bool value) {
  add_key(key, GgufType::boolean);
  put<std::uint8_t>(metadata_, value ? 1 : 0);
}

void GgufBuilder::add_string(std::string_view key, std::string_view value) {
  add_key(key, GgufType::string);
  put_string(metadata_, value);
}

void GgufBuilder::add_strings(std::string_view key, std::span<const std::string> values) {
  add_key(key, GgufType::array);
  put(metadata_, static_cast<std::uint32_t>(GgufType::string));
  put<std::uint64_t>(metadata_, values.size());
  for (const std::string& value : values) put_string(metadata_, value);
}

void GgufBuilder::add_i32s(std::string_view key, std::span<const std::int32_t> values) {
  add_key(key, GgufType::array);
  put(metadata_, static_cast<std::uint32_t>(GgufType::i32));
  put<std::uint64_t>(metadata_, values.size());
  for (const std::int32_t value : values) put(metadata_, value);
}

void GgufBuilder::add_f32s(std::string_view key, std::span<const float> values) {
  add_key(key, GgufType::array);
  put(metadata_, static_cast<std::uint32_t>(GgufType::f32));
  put<std::uint64_t>(metadata_, values.size());
  for (const float value : values) put(metadata_, value);
}

void GgufBuilder::add_bools(std::string_view key, const std::vector<bool>& values) {
  add_key(key, GgufType::array);
  put(metadata_, static_cast<std::uint32_t>(GgufType::boolean));
  put<std::uint64_t>(metadata_, values.size());
  for (const bool value : values) put<std::uint8_t>(metadata_, value ? 1 : 0);
}

void GgufBuilder::add_tensor(std::string_view name, std::span<const std::uint64_t> dims, GgmlType type) {
  const GgmlTypeInfo* info = ggml_type_info(static_cast<std::uint32_t>(type));
  put_string(tensor_infos_, name);
  put(tensor_infos_, static_cast<std::uint32_t>(dims.size()));
  std::uint64_t size = info->block_bytes;
  for (const std::uint64_t extent : dims) {
    put(tensor_infos_, extent);
    size *= extent;
  }
  put(tensor_infos_, static_cast<std::uint32_t>(type));
  put(tensor_infos_, data_bytes_);
  tensor_sizes_.push_back(size / info->block_elements);
  data_bytes_ += padded(tensor_sizes_.back());
}

std::string GgufBuilder::header() const {
  std::string out = "GGUF";
  put<std::uint32_t>(out, 3);
  put<std::uint64_t>(out, tensor_sizes_.size());
  put<std::uint64_t>(out, key_count_);
  out += metadata_;
  out += tensor_infos_;
  out.resize(static_cast<std::size_t>(padded(out.size())));
  return out;
}

std::uint64_t GgufBuilder::file_bytes() const {
  return padded(24 + metadata_.size() + tensor_infos_.size()) + data_bytes_;
}

GgufWriter::GgufWriter(FileDescriptor fd, std::filesystem::path path, std::string temporary,
                       std::vector<std::uint64_t> sizes)
    : fd_(std::move(fd)), path_(std::move(path)), temporary_(std::move(temporary)), sizes_(std::move(sizes)) {}

GgufWriter::~GgufWriter() {
  if (fd_ && !temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<GgufWriter> GgufWriter::create(const std::filesystem::path& path, const GgufBuilder& builder) {
  std::string temporary = path.native() + ".XXXXXX";
  FileDescriptor fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return write_failure(path, errno);
  GgufWriter writer(std::move(fd), path, std::move(temporary), builder.tensor_sizes());
  ESCRIBANO_CHECK(writer.write_all(builder.header()));
  return writer;
}

Status GgufWriter::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put_bytes = ::write(fd_.get(), bytes.data(), bytes.size());
    if (put_bytes < 0 && errno == EINTR) continue;
    if (put_bytes < 0) return write_failure(path_, errno);
    bytes.remove_prefix(static_cast<std::size_t>(put_bytes));
  }
  return {};
}

Status GgufWriter::append(std::span<const std::byte> bytes) {
  if (tensor_ == sizes_.size() || bytes.size() > sizes_[tensor_] - written_) {
    return fail(Errc::internal, "{}: more tensor data than was announced", printable(path_));
  }
  ESCRIBANO_CHECK(write_all({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  written_ += bytes.size();
  if (written_ < sizes_[tensor_]) return {};
  ++tensor_;
  const std::uint64_t padding = padded(written_) - written_;
  written_ = 0;
  return write_all(std::string(static_cast<std::size_t>(padding), '\0'));
}

Status GgufWriter::finish() {
  if (tensor_ != sizes_.size()) return fail(Errc::internal, "{}: tensor data is missing", printable(path_));
  if (::fchmod(fd_.get(), 0644) != 0 || ::fsync(fd_.get()) != 0) return write_failure(path_, errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return write_failure(path_, errno);
  temporary_.clear();
  fd_.reset();
  return sync_folder(path_.parent_path());
}

}  // namespace escribano::models
