#pragma once

#include <cstddef>
#include <functional>

#include "engine/kernels/kernels.h"

namespace escribano::engine::kernels {

// Whether results may come to lie over rows of A, which others may still have to read then.
template <class T>
bool may_overwrite(const Products<T>& p) {
  const auto size = [&p](std::size_t step, std::size_t stride, int columns) {
    return static_cast<std::size_t>(p.count - 1) * step + static_cast<std::size_t>(p.rows - 1) * stride +
           static_cast<std::size_t>(columns);
  };
  const std::less<const float*> before;
  return before(p.a, p.out + size(p.out_step, p.out_stride, p.columns)) &&
         before(p.out, p.a + size(p.a_step, p.a_stride, p.depth));
}

}  // namespace escribano::engine::kernels
