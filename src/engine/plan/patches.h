#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "image/image.h"

namespace escribano::engine {

// When the vision tower may recompute only the patches that changed since the picture before.
struct PatchRule {
  double most_changed = 0.5;  // share of the tokens beyond which the whole picture is computed
  int most_in_a_row = 16;     // pictures computed in part after each other; what they left out adds up
};

// One hash for the pixels of each image token, row by row. The sides must be multiples of `columns` and `rows`. Pure.
std::vector<std::uint64_t> block_hashes(const Image& image, int columns, int rows);

// The tokens in which `now` differs from `before`, ascending; nullopt where the whole picture has to be computed: there are
// too many, or `in_a_row` pictures were already computed in part. Both have the same size. Pure.
std::optional<std::vector<std::int32_t>> changed_tokens(std::span<const std::uint64_t> before,
                                                        std::span<const std::uint64_t> now, int in_a_row,
                                                        const PatchRule& rule);

}  // namespace escribano::engine
