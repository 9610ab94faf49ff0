#include "image/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <vector>

#include "image/mix.h"

namespace escribano {
namespace {

using resize::Lanes;
using resize::lanes;

constexpr int channels = 3;
using Block = std::array<std::uint8_t, std::size_t{lanes} * lanes>;  // 16 rows of 16 bytes

constexpr std::size_t bytes_of_row(int pixels) { return static_cast<std::size_t>(pixels) * channels; }

// The cubic convolution kernel with a = -0.5, which antialiasing filters use (a = -0.75 without).
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2.0) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0.0;
}

// For each output position along one axis the input positions it is mixed from and their weights in fixed point: as
// many bits after the point as leave every weight within 16 bits.
struct AxisWeights {
  struct Span {
    int first = 0;
    int count = 0;
  };
  const std::int16_t* of(int position) const { return weights.data() + static_cast<std::size_t>(position) * stride; }

  std::vector<Span> spans;
  std::vector<std::int16_t> weights;  // `stride` for each output position, `count` of them used
  std::size_t stride = 0;
  int precision_bits = 0;
};

AxisWeights make_weights(int from, int to) {
  const double scale = static_cast<double>(from) / to;
  const double stretch = std::max(scale, 1.0);  // the kernel is widened to cover what one output pixel covers
  const double support = 2.0 * stretch;
  const double inverse = scale >= 1.0 ? 1.0 / scale : 1.0;
  AxisWeights axis;
  axis.stride = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
  axis.spans.resize(static_cast<std::size_t>(to));
  std::vector<double> exact(axis.spans.size() * axis.stride);
  double largest = 0.0;
  double* row = exact.data();
  for (int i = 0; i < to; ++i, row += axis.stride) {
    const double center = scale * (i + 0.5);
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int count =
        std::clamp(std::min(static_cast<int>(center + support + 0.5), from) - first, 0, static_cast<int>(axis.stride));
    axis.spans[static_cast<std::size_t>(i)] = {first, count};
    double total = 0.0;
    for (int k = 0; k < count; ++k) total += row[k] = cubic((k + first - center + 0.5) * inverse);
    for (int k = 0; k < count; ++k) largest = std::max(largest, row[k] /= total);
  }
  constexpr int max_precision_bits = 22;  // 8 bits of pixel and a sum of weights below 2 still fit 32 bits
  const auto fits = [&](int bits) { return static_cast<int>(0.5 + largest * (1 << bits)) < 1 << 15; };
  while (axis.precision_bits < max_precision_bits && fits(axis.precision_bits + 1)) ++axis.precision_bits;
  axis.weights.resize(exact.size());
  std::transform(exact.begin(), exact.end(), axis.weights.begin(), [&](double weight) {
    return static_cast<std::int16_t>(weight * (1 << axis.precision_bits) + (weight < 0 ? -0.5 : 0.5));
  });
  return axis;
}

// Rows of bytes, each padded so that a group of lanes that begins within a row ends within it.
struct PaddedRows {
  PaddedRows(int row_count, std::size_t row_bytes)
      : stride((row_bytes + lanes - 1) / lanes * lanes), bytes(static_cast<std::size_t>(row_count) * stride) {}

  std::uint8_t* row(int y) { return bytes.data() + static_cast<std::size_t>(y) * stride; }
  const std::uint8_t* row(int y) const { return bytes.data() + static_cast<std::size_t>(y) * stride; }

  std::size_t stride;
  std::vector<std::uint8_t> bytes;
};

// Bytes [first, first + 16) of `rows` rows of the result from as many columns, turned back.
void write_columns(const Block& columns, int top, int rows, std::size_t first, PaddedRows& result) {
  Block block;
  resize::turn(columns.data(), lanes, block.data());
  const std::uint8_t* row = block.data();
  for (int r = 0; r < rows; ++r, row += lanes) std::memcpy(result.row(top + r) + first, row, lanes);
}

// Sixteen rows at a time, turned so that the bytes of one column are neighbours and mixing runs over rows.
PaddedRows resize_rows(const Image& image, int to_width_px) {
  const AxisWeights axis = make_weights(image.width_px, to_width_px);
  const std::size_t row_bytes = bytes_of_row(image.width_px);
  const std::size_t to_row_bytes = bytes_of_row(to_width_px);
  PaddedRows result(image.height_px, to_row_bytes);
  PaddedRows group(lanes, row_bytes);
  std::vector<std::uint8_t> turned(group.stride * lanes);
  Block columns = {};
  for (int top = 0; top < image.height_px; top += lanes) {
    const int rows = std::min(lanes, image.height_px - top);
    const std::uint8_t* source = image.rgb.data() + static_cast<std::size_t>(top) * row_bytes;
    for (int r = 0; r < rows; ++r, source += row_bytes) std::memcpy(group.row(r), source, row_bytes);
    for (std::size_t i = 0; i < group.stride; i += lanes) {
      resize::turn(group.row(0) + i, static_cast<std::ptrdiff_t>(group.stride), turned.data() + i * lanes);
    }
    for (std::size_t i = 0; i < to_row_bytes; ++i) {
      const auto [first, count] = axis.spans[i / channels];
      const std::uint8_t* column = turned.data() + (bytes_of_row(first) + i % channels) * lanes;
      const Lanes mixed = resize::mix(column, std::ptrdiff_t{channels} * lanes, axis.of(static_cast<int>(i / channels)),
                                      count, axis.precision_bits);
      std::copy_n(mixed.begin(), lanes, columns.data() + i % lanes * lanes);
      if (i % lanes == lanes - 1 || i + 1 == to_row_bytes) write_columns(columns, top, rows, i - i % lanes, result);
    }
  }
  return result;
}

Image resize_columns(const PaddedRows& rows, int height_px, Size to) {
  const AxisWeights axis = make_weights(height_px, to.height_px);
  const std::size_t row_bytes = bytes_of_row(to.width_px);
  Image result{to.width_px, to.height_px,
               std::vector<std::uint8_t>(row_bytes * static_cast<std::size_t>(to.height_px))};
  std::uint8_t* out = result.rgb.data();
  for (int y = 0; y < to.height_px; ++y, out += row_bytes) {
    const auto [first, count] = axis.spans[static_cast<std::size_t>(y)];
    for (std::size_t i = 0; i < row_bytes; i += lanes) {
      const Lanes mixed = resize::mix(rows.row(first) + i, static_cast<std::ptrdiff_t>(rows.stride), axis.of(y), count,
                                      axis.precision_bits);
      std::copy_n(mixed.begin(), std::min<std::size_t>(lanes, row_bytes - i), out + i);
    }
  }
  return result;
}

bool is_empty(Size size) { return size.width_px < 1 || size.height_px < 1; }

// `side` as a multiple of `factor`, by the way of rounding given.
template <class Round>
double multiple_of(double factor, double side, Round round) {
  return round(side / factor) * factor;
}

}  // namespace

Result<Size> model_image_size(Size original, const PixelRule& rule) {
  if (is_empty(original)) {
    return fail(Errc::invalid_argument, "{}x{} pixels: the picture has no area", original.width_px, original.height_px);
  }
  if (rule.patch_size_px < 1 || rule.merge_size < 1 || rule.min_pixels < 1 || rule.max_pixels < rule.min_pixels) {
    return fail(
        Errc::invalid_argument,
        "patch size {}, merge size {}, {} to {} pixels: all must be at least 1, and the least not above the most",
        rule.patch_size_px, rule.merge_size, rule.min_pixels, rule.max_pixels);
  }
  constexpr double max_ratio = 200.0;
  const double width = original.width_px;
  const double height = original.height_px;
  if (std::max(width, height) / std::min(width, height) > max_ratio) {
    return fail(Errc::unsupported, "{}x{} pixels: one side is more than {} times the other", original.width_px,
                original.height_px, max_ratio);
  }
  const double factor = static_cast<double>(rule.patch_size_px) * rule.merge_size;
  const auto min_pixels = static_cast<double>(rule.min_pixels);
  const auto max_pixels = static_cast<double>(rule.max_pixels);
  const auto to_even = [](double value) { return std::nearbyint(value); };
  double to_width = multiple_of(factor, width, to_even);
  double to_height = multiple_of(factor, height, to_even);
  if (to_width * to_height > max_pixels) {
    const double beta = std::sqrt(width * height / max_pixels);
    const auto down = [](double value) { return std::floor(value); };
    to_width = std::max(factor, multiple_of(factor, width / beta, down));
    to_height = std::max(factor, multiple_of(factor, height / beta, down));
  } else if (to_width * to_height < min_pixels) {
    const double beta = std::sqrt(min_pixels / (width * height));
    const auto up = [](double value) { return std::ceil(value); };
    to_width = multiple_of(factor, width * beta, up);
    to_height = multiple_of(factor, height * beta, up);
  }
  if (std::max(to_width, to_height) > std::numeric_limits<int>::max()) {
    return fail(Errc::too_large, "{}x{} pixels: the model's size for it would be {:.0f}x{:.0f}", original.width_px,
                original.height_px, to_width, to_height);
  }
  return Size{static_cast<int>(to_width), static_cast<int>(to_height)};
}

Image resize_bicubic(const Image& image, Size to) {
  if (is_empty(image.size()) || is_empty(to)) return {};
  if (image.rgb.size() != bytes_of_row(image.width_px) * static_cast<std::size_t>(image.height_px)) return {};
  if (image.size() == to) return image;
  return resize_columns(resize_rows(image, to.width_px), image.height_px, to);
}

}  // namespace escribano
