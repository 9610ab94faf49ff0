#include "image/exif.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace escribano {
namespace {

constexpr int upright = 1;
constexpr std::uint16_t orientation_tag = 0x0112;
constexpr std::uint16_t short_type = 3;
constexpr std::size_t entry_bytes = 12;

// Unsigned integers of a TIFF file in its byte order. `read` is only called for ranges that `holds` has accepted.
class TiffReader {
 public:
  TiffReader(std::span<const std::byte> data, bool big_endian) noexcept : data_(data), big_endian_(big_endian) {}

  bool holds(std::uint64_t offset, std::uint64_t length) const noexcept {
    return offset <= data_.size() && length <= data_.size() - offset;
  }
  std::uint32_t read(std::size_t offset, std::size_t length) const noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < length; ++i) {
      value = value << 8 | std::to_integer<std::uint32_t>(data_[offset + (big_endian_ ? i : length - 1 - i)]);
    }
    return value;
  }

 private:
  std::span<const std::byte> data_;
  bool big_endian_;
};

bool starts_with(std::span<const std::byte> data, std::span<const char> prefix) noexcept {
  return data.size() >= prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), data.begin(),
                    [](char expected, std::byte found) { return static_cast<std::byte>(expected) == found; });
}

}  // namespace

int exif_orientation(std::span<const std::byte> block) noexcept {
  constexpr std::array<char, 6> jpeg_prefix = {'E', 'x', 'i', 'f', 0, 0};
  constexpr std::array<char, 4> little_endian = {'I', 'I', 42, 0};
  constexpr std::array<char, 4> big_endian = {'M', 'M', 0, 42};
  if (starts_with(block, jpeg_prefix)) block = block.subspan(jpeg_prefix.size());
  const bool is_big = starts_with(block, big_endian);
  if (!is_big && !starts_with(block, little_endian)) return upright;

  const TiffReader tiff(block, is_big);
  if (!tiff.holds(4, 4)) return upright;
  const std::size_t directory = tiff.read(4, 4);
  if (!tiff.holds(directory, 2)) return upright;
  const std::size_t entries = tiff.read(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * entry_bytes;
    if (!tiff.holds(entry, entry_bytes)) return upright;
    if (tiff.read(entry, 2) != orientation_tag) continue;
    const std::uint32_t value = tiff.read(entry + 8, 2);  // a single short stands in the first half of the value field
    const bool valid =
        tiff.read(entry + 2, 2) == short_type && tiff.read(entry + 4, 4) == 1 && value >= 1 && value <= 8;
    return valid ? static_cast<int>(value) : upright;
  }
  return upright;
}

}  // namespace escribano
