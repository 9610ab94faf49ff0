#include <algorithm>
#include <atomic>
#include <type_traits>

#include "engine/kernels/finish_row.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/overlap.h"
#include "engine/kernels/tile.h"

namespace escribano::engine::kernels {
namespace {

template <class Dot, class LoadA, class LoadB, class T>
class Run {
 public:
  Run(const Products<T>& products, Scratch& scratch, int threads)
      : p_(products),
        threads_(threads),
        depth_(p_.depth / kElements),
        tiles_((p_.rows + kTileRows - 1) / kTileRows),
        tile_words_(static_cast<std::size_t>(depth_) * kLanes),
        panel_words_(static_cast<std::size_t>(depth_) * kPanelLanes) {
    const std::size_t panels = static_cast<std::size_t>(threads) * panel_words_;
    const std::size_t a = packs_a_ ? static_cast<std::size_t>(p_.count * tiles_) * tile_words_ : 0;
    panels_ = reinterpret_cast<Word*>(scratch.get((panels + a) * sizeof(Word)));
    a_ = panels_ + panels;
  }

  // Panels of B are packed when their turn comes, which costs next to nothing once they are used for a hundred rows, and
  // saves a second copy of the weights. A panel's rows are split over threads only where there are too few panels.
  void run() {
    if (!packs_a_) {
      return multiply([this](int product, int tile) {
        const float* const at = p_.a + product * p_.a_step + tile * kTileRows * p_.a_stride;
        return RowMajor{reinterpret_cast<const Word*>(at), p_.a_stride};
      });
    }
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads_)
    for (int product = 0; product < p_.count; ++product) {
      for (int tile = 0; tile < tiles_; ++tile) {
        const int m = tile * kTileRows;
        pack_rows<LoadA>(p_.a + product * p_.a_step + m * p_.a_stride, p_.a_stride, std::min(kTileRows, p_.rows - m),
                         depth_, packed(product, tile), kLanes);
      }
    }
    multiply([this](int product, int tile) { return Packed{packed(product, tile)}; });
  }

 private:
  static constexpr int kElements = LoadB::kElementsAWord;

  // `tile_of_a` says where the words of a tile lie.
  void multiply(const auto& tile_of_a) {
    const int panels = (p_.columns + kPanelLanes - 1) / kPanelLanes;
    const int splits = std::clamp(4 * threads_ / (p_.count * panels), 1, std::max(1, tiles_ / 4));
    const int tiles = (tiles_ + splits - 1) / splits;
    // Panels that follow each other, so that the next can be fetched while one is multiplied.
    const int chunk = std::clamp(p_.count * panels * splits / (8 * threads_), 1, 8);
    std::atomic<int> next_thread = 0;
#pragma omp parallel num_threads(threads_)
    {
      Word* const panel = panels_ + static_cast<std::size_t>(next_thread.fetch_add(1)) * panel_words_;
#pragma omp for collapse(3) schedule(dynamic, chunk)
      for (int product = 0; product < p_.count; ++product) {
        for (int column = 0; column < panels; ++column) {
          for (int split = 0; split < splits; ++split) {
            block(product, column * kPanelLanes, split * tiles, std::min(tiles_, (split + 1) * tiles), panel,
                  tile_of_a);
          }
        }
      }
    }
  }

  // Floats are multiplied from where they lie: packing them takes a tenth of the time where rows are short. Not where the
  // result may come to lie over them before they were read for the last time, and not where the rows of a tile would
  // push each other out of the cache, in which they would all have the same places.
  static bool must_pack(const Products<T>& p) {
    constexpr std::size_t kPage = 4096;
    if (!std::is_same_v<Dot, DotFloat> || p.a_stride * sizeof(float) % kPage == 0) return true;
    return may_overwrite(p);
  }

  Word* packed(int product, int tile) const {
    return a_ + static_cast<std::size_t>(product * tiles_ + tile) * tile_words_;
  }

  // Tiles [from, end) of 32 columns, which are packed in `panel`.
  void block(int product, int column, int from, int end, Word* panel, const auto& tile_of_a) const {
    const int width = std::min(kPanelLanes, p_.columns - column);
    const bool wide = width > kLanes;
    const int stride = wide ? kPanelLanes : kLanes;
    const T* const b = p_.b + product * p_.b_step + column * p_.b_stride;
    pack_rows<LoadB>(b, p_.b_stride, std::min(width, kLanes), depth_, panel, stride);
    if (wide) pack_rows<LoadB>(b + kLanes * p_.b_stride, p_.b_stride, width - kLanes, depth_, panel + kLanes, stride);
    const __mmask16 last = lanes(wide ? width - kLanes : width);
    const bool has_next = column + 2 * kPanelLanes <= p_.columns;
    const Ahead next_panel = {reinterpret_cast<const char*>(has_next ? b + kPanelLanes * p_.b_stride : b),
                              has_next ? kPanelLanes * p_.b_stride * sizeof(T) / static_cast<std::size_t>(depth_) : 0};
    const bool unfinished = p_.bias != nullptr || p_.residual != nullptr || p_.gelu;
    alignas(64) float sums[kTileRows * kPanelLanes];
    for (int t = from; t < end; ++t) {
      const int m = t * kTileRows;
      const int rows = std::min(kTileRows, p_.rows - m);
      const auto a = tile_of_a(product, t);
      // Weights are read once; the panel behind this one, if there is one, comes next.
      const Ahead ahead = t == from ? next_panel : Ahead{nullptr, 0};
      float* const out = p_.out + product * p_.out_step + m * p_.out_stride + column;
      float* const to = unfinished ? sums : out;
      const std::size_t to_stride = unfinished ? kPanelLanes : p_.out_stride;
      if (wide) {
        multiply_rows<Dot, kTileRows, 2>(rows, a, panel, depth_, to, to_stride, last, ahead);
      } else {
        multiply_rows<Dot, kTileRows, 1>(rows, a, panel, depth_, to, to_stride, last, ahead);
      }
      if (!unfinished) continue;
      for (int i = 0; i < rows; ++i) {
        finish_row(sums + static_cast<std::ptrdiff_t>(i) * kPanelLanes, width, nullptr,
                   p_.bias == nullptr ? nullptr : p_.bias + column, p_.gelu,
                   p_.residual == nullptr ? nullptr : p_.residual + (m + i) * p_.residual_stride + column,
                   out + i * p_.out_stride);
      }
    }
  }

  const Products<T>& p_;
  int threads_;
  bool packs_a_ = must_pack(p_);
  int depth_;
  int tiles_;  // of the rows of A, each of up to 14
  std::size_t tile_words_;
  std::size_t panel_words_;  // of B
  Word* panels_ = nullptr;
  Word* a_ = nullptr;
};

template <class Dot, class LoadA, class LoadB, class T>
void run(const Products<T>& products, Scratch& scratch, int threads) {
  if (products.rows < 1 || products.columns < 1 || products.count < 1) return;
  Run<Dot, LoadA, LoadB, T>(products, scratch, threads).run();
}

}  // namespace

void multiply(const Products<float>& products, Scratch& scratch, int threads) {
  run<DotFloat, LoadFloat, LoadFloat>(products, scratch, threads);
}
void multiply(const Products<F16>& products, Scratch& scratch, int threads) {
  run<DotFloat, LoadFloat, LoadF16AsFloat>(products, scratch, threads);
}
void multiply(const Products<Bf16>& products, Scratch& scratch, int threads) {
  run<DotBf16, LoadFloatAsBf16, LoadBf16>(products, scratch, threads);
}

void multiply_bf16(const Products<float>& products, Scratch& scratch, int threads) {
  run<DotBf16, LoadFloatAsBf16, LoadFloatAsBf16>(products, scratch, threads);
}
void multiply_bf16(const Products<F16>& products, Scratch& scratch, int threads) {
  run<DotBf16, LoadFloatAsBf16, LoadF16AsBf16>(products, scratch, threads);
}
void multiply_bf16(const Products<Bf16>& products, Scratch& scratch, int threads) {
  multiply(products, scratch, threads);
}

void finish(const Finish& work, int threads) {
  const Finish& f = work;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int m = 0; m < f.rows; ++m) {
    finish_row(f.x + m * f.x_stride, f.columns, f.weight, f.bias, f.gelu,
               f.residual == nullptr ? nullptr : f.residual + m * f.residual_stride, f.out + m * f.out_stride);
  }
}

}  // namespace escribano::engine::kernels
