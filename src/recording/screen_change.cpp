#include "recording/screen_change.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

namespace escribano::recording {
namespace {

constexpr int kBlockPx = 16;

// Sum of absolute differences. Written so that compilers turn it into the instruction for it.
std::uint32_t row_difference(const std::uint8_t* a, const std::uint8_t* b, int count) {
  std::uint32_t sum = 0;
  for (int i = 0; i < count; ++i) sum += static_cast<std::uint32_t>(std::abs(int{a[i]} - int{b[i]}));
  return sum;
}

// Where part `i` of `parts` begins: the last part ends at the side.
int bound(int side, int parts, int i) { return i == parts ? side : i * kBlockPx; }

}  // namespace

Luma luma_of(const Image& image) {
  Luma luma{image.width_px, image.height_px, std::vector<std::uint8_t>(image.rgb.size() / 3)};
  const std::uint8_t* rgb = image.rgb.data();
  for (std::size_t i = 0; i < luma.levels.size(); ++i, rgb += 3) {
    // 0.2126, 0.7152 and 0.0722 of 65,536.
    luma.levels[i] = static_cast<std::uint8_t>((13'933u * rgb[0] + 46'871u * rgb[1] + 4'732u * rgb[2] + 32'768u) >> 16);
  }
  return luma;
}

BlockChange block_change(const Luma& a, const Luma& b, double threshold) {
  if (a.width_px != b.width_px || a.height_px != b.height_px || a.levels.empty()) return {255, 1};
  const int columns = std::max(a.width_px / kBlockPx, 1);
  const int rows = std::max(a.height_px / kBlockPx, 1);
  BlockChange change;
  std::size_t changed = 0;
  std::vector<std::uint32_t> sums(static_cast<std::size_t>(columns));
  for (int row = 0; row < rows; ++row) {
    const int top = bound(a.height_px, rows, row);
    const int bottom = bound(a.height_px, rows, row + 1);
    std::fill(sums.begin(), sums.end(), 0);
    for (int y = top; y < bottom; ++y) {
      const std::size_t start = static_cast<std::size_t>(y) * static_cast<std::size_t>(a.width_px);
      for (int column = 0; column < columns - 1; ++column) {
        const std::size_t at = start + static_cast<std::size_t>(column * kBlockPx);
        sums[static_cast<std::size_t>(column)] += row_difference(&a.levels[at], &b.levels[at], kBlockPx);
      }
      const int left = (columns - 1) * kBlockPx;
      const std::size_t at = start + static_cast<std::size_t>(left);
      sums.back() += row_difference(&a.levels[at], &b.levels[at], a.width_px - left);
    }
    for (int column = 0; column < columns; ++column) {
      const int width = bound(a.width_px, columns, column + 1) - bound(a.width_px, columns, column);
      const double mean = sums[static_cast<std::size_t>(column)] / (double{1} * width * (bottom - top));
      change.largest = std::max(change.largest, mean);
      if (mean > threshold) ++changed;
    }
  }
  change.share = static_cast<double>(changed) / (static_cast<double>(columns) * rows);
  return change;
}

std::vector<double> block_means(const Luma& luma) {
  if (luma.levels.empty()) return {};
  const int columns = std::max(luma.width_px / kBlockPx, 1);
  const int rows = std::max(luma.height_px / kBlockPx, 1);
  std::vector<double> means;
  means.reserve(static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows));
  for (int row = 0; row < rows; ++row) {
    const int top = bound(luma.height_px, rows, row);
    const int bottom = bound(luma.height_px, rows, row + 1);
    for (int column = 0; column < columns; ++column) {
      const int left = bound(luma.width_px, columns, column);
      const int right = bound(luma.width_px, columns, column + 1);
      std::uint32_t sum = 0;
      for (int y = top; y < bottom; ++y) {
        const std::uint8_t* levels =
            luma.levels.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(luma.width_px);
        for (int x = left; x < right; ++x) sum += levels[x];
      }
      means.push_back(sum / (double{1} * (right - left) * (bottom - top)));
    }
  }
  return means;
}

bool means_differ(std::span<const double> a, std::span<const double> b, double threshold) noexcept {
  constexpr double kRounding = 1e-6;
  if (a.size() != b.size()) return true;
  // |mean(a) - mean(b)| is at most the mean of |a - b|.
  return !std::equal(a.begin(), a.end(), b.begin(),
                     [&](double x, double y) { return std::abs(x - y) <= threshold + kRounding; });
}

std::uint64_t difference_hash(const Luma& luma) {
  constexpr int kColumns = 9;
  constexpr int kRows = 8;
  if (luma.levels.empty()) return 0;
  std::uint64_t hash = 0;
  for (int row = 0; row < kRows; ++row) {
    // A picture smaller than the fields lends its pixels to several of them.
    const int top = std::min(row * luma.height_px / kRows, luma.height_px - 1);
    const int bottom = std::max((row + 1) * luma.height_px / kRows, top + 1);
    std::array<double, kColumns> means = {};
    for (int column = 0; column < kColumns; ++column) {
      const int left = std::min(column * luma.width_px / kColumns, luma.width_px - 1);
      const int right = std::max((column + 1) * luma.width_px / kColumns, left + 1);
      std::uint64_t sum = 0;
      for (int y = top; y < bottom; ++y) {
        const std::uint8_t* levels =
            luma.levels.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(luma.width_px);
        for (int x = left; x < right; ++x) sum += levels[x];
      }
      means[static_cast<std::size_t>(column)] =
          static_cast<double>(sum) / (double{1} * (right - left) * (bottom - top));
    }
    for (int x = 0; x + 1 < kColumns; ++x) {
      const auto i = static_cast<std::size_t>(x);
      if (means[i + 1] > means[i]) hash |= std::uint64_t{1} << (8 * row + x);
    }
  }
  return hash;
}

}  // namespace escribano::recording
