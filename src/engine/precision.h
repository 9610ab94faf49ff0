#pragma once

#include <string_view>

namespace escribano::engine {

// What both factors of the weights' products are rounded to in vision tower and prefill. The fewer the bits, the faster,
// and the more the numbers, and now and then the texts, differ from what the model was made to say.
enum class Precision {
  exact,  // as the weights are: products of floats, or of bf16 where weights are bf16
  bf16,   // attention as well
  int8,   // with a scale for every 128 numbers; attention in bf16
};

constexpr std::string_view precision_name(Precision precision) noexcept {
  switch (precision) {
    case Precision::bf16: return "bf16";
    case Precision::int8: return "int8";
    default: return "exact";
  }
}

}  // namespace escribano::engine
