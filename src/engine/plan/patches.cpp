#include "engine/plan/patches.h"

#include <cstddef>

#include "image/hash.h"

namespace escribano::engine {

std::vector<std::uint64_t> block_hashes(const Image& image, int columns, int rows) {
  const auto across = static_cast<std::size_t>(columns);
  const std::size_t line_bytes = 3 * static_cast<std::size_t>(image.width_px);
  const std::size_t block_bytes = line_bytes / across;
  const int block_lines = image.height_px / rows;
  const std::span<const std::byte> bytes = std::as_bytes(std::span(image.rgb));
  std::vector<std::uint64_t> hashes(across * static_cast<std::size_t>(rows));
  for (int y = 0; y < rows * block_lines; ++y) {
    for (std::size_t x = 0; x < across; ++x) {
      std::uint64_t& hash = hashes[static_cast<std::size_t>(y / block_lines) * across + x];
      hash = hash_bytes(bytes.subspan(static_cast<std::size_t>(y) * line_bytes + x * block_bytes, block_bytes), hash);
    }
  }
  return hashes;
}

std::optional<std::vector<std::int32_t>> changed_tokens(std::span<const std::uint64_t> before,
                                                        std::span<const std::uint64_t> now, int in_a_row,
                                                        const PatchRule& rule) {
  std::vector<std::int32_t> changed;
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (now[i] != before[i]) changed.push_back(static_cast<std::int32_t>(i));
  }
  if (changed.empty()) return changed;
  const bool too_many = static_cast<double>(changed.size()) > rule.most_changed * static_cast<double>(now.size());
  if (too_many || in_a_row >= rule.most_in_a_row) return std::nullopt;
  return changed;
}

}  // namespace escribano::engine
