#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "image/image.h"

namespace escribano::recording {

// Brightness alone: rows from top to bottom without padding.
struct Luma {
  int width_px = 0;
  int height_px = 0;
  std::vector<std::uint8_t> levels;
};

// Y' of BT.709 from the 8-bit pixels, rounded. A picture without area has none.
Luma luma_of(const Image& image);

// How two pictures of the same size differ, by blocks of 16x16 pixels; the last block of a row or column takes what is left
// over.
struct BlockChange {
  double largest = 0;  // mean absolute difference of the block that differs most, 0 to 255
  double share = 0;    // of blocks whose mean absolute difference exceeds the threshold, 0 to 1
};

// Pictures of different sizes have changed altogether.
BlockChange block_change(const Luma& a, const Luma& b, double threshold);

// The mean level of each of those blocks, row by row.
std::vector<double> block_means(const Luma& luma);

// Whether the means alone show that a block differs by more than the threshold: what block_change() of the pictures would
// say, at a fraction of its cost. False says nothing. Means of pictures of different sizes differ.
bool means_differ(std::span<const double> a, std::span<const double> b, double threshold) noexcept;

// The gradients of 9x8 mean levels (dHash): bit 8 * y + x from the lowest on is set where field x + 1 of row y is brighter
// than field x.
std::uint64_t difference_hash(const Luma& luma);

}  // namespace escribano::recording
