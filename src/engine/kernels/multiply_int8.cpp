#include <algorithm>
#include <atomic>
#include <cstdint>

#include "engine/kernels/finish_row.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/tile.h"

// Products of 8-bit integers. A word holds four of them, so a register holds 64 elements of a row, or four elements of 16
// columns. Elements of a register may lie in any order that is the same for A and B: sums of integers are exact.
//
// The instruction multiplies unsigned by signed numbers. B is the unsigned side, 128 more than it should be, so a dot
// product begins with -128 times the sum of A's elements.
namespace escribano::engine::kernels {
namespace {

constexpr int kBlock = 64;   // elements of a register
constexpr int kGroup = 128;  // elements that share a scale
constexpr int kWordsAGroup = kGroup / 4;
constexpr int kBlocksAGroup = kGroup / kBlock;
constexpr int kVectorsAGroup = kGroup / kLanes;

__m512 load(const float* x, __mmask16 present) { return _mm512_maskz_loadu_ps(present, x); }
__m512 load(const F16* x, __mmask16 present) { return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(present, x)); }
__m512 load(const Bf16* x, __mmask16 present) {
  const __m512i words = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(present, x));
  return _mm512_castsi512_ps(_mm512_slli_epi32(words, 16));
}

struct Group {
  __m512i blocks[kBlocksAGroup];  // signed bytes; a word holds elements that follow each other
  float scale;
};

// `count` elements, at most 128; those behind them become zeros. kWhole: there are 128.
template <bool kWhole, class T>
Group quantize(const T* x, int count) {
  __m512 values[kVectorsAGroup];
  // Magnitudes are compared as integers, where a NaN is larger than any number and so not overlooked.
  __m512i most = _mm512_setzero_si512();
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
#pragma GCC unroll 8
  for (int i = 0; i < kVectorsAGroup; ++i) {
    const int left = count - i * kLanes;
    const __mmask16 present = kWhole || left > 0 ? lanes(kWhole ? kLanes : left) : __mmask16(0);
    values[i] = load(x + i * kLanes, present);
    most = _mm512_max_epi32(most, _mm512_and_si512(_mm512_castps_si512(values[i]), magnitude));
  }
  const auto largest = std::bit_cast<float>(_mm512_reduce_max_epi32(most));
  constexpr float kLeast = 0x1p-100F;  // the inverse of what is smaller may be infinite
  constexpr float kMost = 127;
  const __m512 inverse = _mm512_set1_ps(largest < kLeast ? 0 : kMost / largest);
  __m512i rounded[kVectorsAGroup];
#pragma GCC unroll 8
  for (int i = 0; i < kVectorsAGroup; ++i) rounded[i] = _mm512_cvtps_epi32(_mm512_mul_ps(values[i], inverse));
  Group group;
#pragma GCC unroll 2
  for (int i = 0; i < kBlocksAGroup; ++i) {
    const __m512i* const r = rounded + static_cast<std::ptrdiff_t>(4) * i;
    group.blocks[i] = _mm512_packs_epi16(_mm512_packs_epi32(r[0], r[1]), _mm512_packs_epi32(r[2], r[3]));
  }
  group.scale = largest < kLeast ? 0 : largest / kMost;
  return group;
}

template <class T>
Group quantize(const T* x, int count) {
  return count == kGroup ? quantize<true>(x, count) : quantize<false>(x, count);
}

// What belongs to the 14 rows of a tile and one group.
struct alignas(64) RowFactors {
  std::int32_t start[kLanes];  // -128 times the sum of the row's elements
  float scale[kLanes];
};

// 32 columns of B, or 16: words[w][0..31], and scales[group][0..31].
struct Panel {
  Word* words;
  float* scales;
};

// sums += b . a. Not the intrinsic: GCC 12 takes its result for something of another type than its operand, copies it to and
// fro, and runs out of registers by that, at a third of the speed.
__m512i add_dots(__m512i sums, __m512i b, __m512i a) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(b), "v"(a));
  return sums;
}

// out[i][j] = row i times column j.
template <int kRows, int kVectors>
void multiply_words(RowMajor a, const Word* panel, int words, __m512i* out) {
  __m512i dots[kRows][kVectors];
#pragma GCC unroll 16
  for (std::ptrdiff_t i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (std::ptrdiff_t j = 0; j < kVectors; ++j) dots[i][j] = _mm512_setzero_si512();
  }
  for (std::ptrdiff_t w = 0; w < words; ++w) {
    __m512i b[kVectors];
#pragma GCC unroll 2
    for (std::ptrdiff_t j = 0; j < kVectors; ++j) b[j] = _mm512_load_si512(panel + (w * kVectors + j) * kLanes);
#pragma GCC unroll 16
    for (std::ptrdiff_t i = 0; i < kRows; ++i) {
      const __m512i word = _mm512_set1_epi32(static_cast<int>(*a.at(i, w)));
#pragma GCC unroll 2
      for (std::ptrdiff_t j = 0; j < kVectors; ++j) dots[i][j] = add_dots(dots[i][j], b[j], word);
    }
  }
#pragma GCC unroll 16
  for (std::ptrdiff_t i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (std::ptrdiff_t j = 0; j < kVectors; ++j) _mm512_store_si512(out + i * kVectors + j, dots[i][j]);
  }
}

// sums[i][j] = row i times column j.
template <int kRows, int kVectors>
[[gnu::noinline]] void multiply_tile(RowMajor a, const RowFactors* factors, Panel panel, int words, float* sums) {
  __m512i dots[kRows * kVectors];
  for (int w = 0; w < words; w += kWordsAGroup, ++factors, panel.scales += kPanelLanes) {
    multiply_words<kRows, kVectors>({a.a + w, a.stride},
                                    panel.words + static_cast<std::ptrdiff_t>(w) * kVectors * kLanes,
                                    std::min(words - w, kWordsAGroup), dots);
    for (std::ptrdiff_t i = 0; i < kRows; ++i) {
      const __m512i start = _mm512_set1_epi32(factors->start[i]);
      const __m512 a_scale = _mm512_set1_ps(factors->scale[i]);
      for (std::ptrdiff_t j = 0; j < kVectors; ++j) {
        const __m512 dot = _mm512_cvtepi32_ps(_mm512_add_epi32(dots[i * kVectors + j], start));
        const __m512 scaled = _mm512_mul_ps(dot, _mm512_load_ps(panel.scales + j * kLanes));
        float* const to = sums + i * kPanelLanes + j * kLanes;
        const __m512 before = w == 0 ? _mm512_setzero_ps() : _mm512_load_ps(to);
        _mm512_store_ps(to, _mm512_fmadd_ps(scaled, a_scale, before));
      }
    }
  }
}

// The same for any number of rows up to kRows.
template <int kRows, int kVectors>
void multiply_rows(int rows, RowMajor a, const RowFactors* factors, Panel panel, int words, float* sums) {
  if (rows == kRows) return multiply_tile<kRows, kVectors>(a, factors, panel, words, sums);
  if constexpr (kRows > 1) multiply_rows<kRows - 1, kVectors>(rows, a, factors, panel, words, sums);
}

// One product. A is quantised once, before anything is written; a panel of B when its turn comes, which saves a second
// copy of the weights.
template <class T>
class Run {
 public:
  Run(const Products<T>& product, Scratch& scratch, int threads)
      : p_(product),
        threads_(threads),
        groups_((p_.depth + kGroup - 1) / kGroup),
        words_((p_.depth + kBlock - 1) / kBlock * kLanes),
        tiles_((p_.rows + kTileRows - 1) / kTileRows),
        a_stride_(static_cast<std::size_t>(words_)) {
    constexpr std::size_t kPageWords = 4096 / sizeof(Word);
    if (a_stride_ % kPageWords == 0)
      a_stride_ += kLanes;  // or all rows of a tile would have the same places in the cache
    const std::size_t panel_bytes = static_cast<std::size_t>(words_) * kPanelLanes * sizeof(Word);
    panel_bytes_ = panel_bytes + static_cast<std::size_t>(groups_) * kPanelLanes * sizeof(float);
    scales_at_ = panel_bytes;
    const std::size_t panels = panel_bytes_ * static_cast<std::size_t>(threads);
    const std::size_t factors =
        static_cast<std::size_t>(tiles_) * static_cast<std::size_t>(groups_) * sizeof(RowFactors);
    panels_ = scratch.get(panels + factors + static_cast<std::size_t>(p_.rows) * a_stride_ * sizeof(Word));
    factors_ = reinterpret_cast<RowFactors*>(panels_ + panels);
    a_ = reinterpret_cast<Word*>(panels_ + panels + factors);
  }

  void run() {
    const int panels = (p_.columns + kPanelLanes - 1) / kPanelLanes;
    const int splits = std::clamp(4 * threads_ / panels, 1, std::max(1, tiles_ / 4));
    const int tiles = (tiles_ + splits - 1) / splits;
    std::atomic<int> next_thread = 0;
#pragma omp parallel num_threads(threads_)
    {
      std::byte* const memory = panels_ + static_cast<std::size_t>(next_thread.fetch_add(1)) * panel_bytes_;
      const Panel panel = {reinterpret_cast<Word*>(memory), reinterpret_cast<float*>(memory + scales_at_)};
#pragma omp for schedule(static)
      for (int m = 0; m < p_.rows; ++m) quantize_row(m);
#pragma omp for collapse(2) schedule(dynamic)
      for (int column = 0; column < panels; ++column) {
        for (int split = 0; split < splits; ++split) {
          block(column * kPanelLanes, split * tiles, std::min(tiles_, (split + 1) * tiles), panel);
        }
      }
    }
  }

 private:
  RowFactors* factors_of(int tile) const { return factors_ + static_cast<std::ptrdiff_t>(tile) * groups_; }

  void quantize_row(int m) const {
    const float* const x = p_.a + m * p_.a_stride;
    Word* to = a_ + m * a_stride_;
    RowFactors* factors = factors_of(m / kTileRows);
    for (int k = 0; k < p_.depth; k += kGroup, ++factors) {
      const int count = std::min(kGroup, p_.depth - k);
      const Group group = quantize(x + k, count);
      __m512i sum = _mm512_setzero_si512();
      for (int i = 0; i * kBlock < count; ++i, to += kLanes) {
        _mm512_storeu_si512(to, group.blocks[i]);
        sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), group.blocks[i]);
      }
      factors->start[m % kTileRows] = -128 * _mm512_reduce_add_epi32(sum);
      factors->scale[m % kTileRows] = group.scale;
    }
  }

  // Up to 16 columns from `b` on into words[w][0..15] and scales[group][0..15].
  void quantize_columns(const T* b, int columns, Word* words, std::ptrdiff_t stride, float* scales) const {
    for (int k = 0; k < p_.depth; k += kGroup, scales += kPanelLanes) {
      const int count = std::min(kGroup, p_.depth - k);
      __m512i blocks[kBlocksAGroup][kLanes];
      for (std::ptrdiff_t i = 0; i < kLanes; ++i) {
        const Group group = i < columns ? quantize(b + i * p_.b_stride + k, count) : Group{};
        for (int block = 0; block < kBlocksAGroup; ++block) {
          blocks[block][i] = _mm512_xor_si512(group.blocks[block], _mm512_set1_epi8(-128));  // + 128
        }
        scales[i] = group.scale;
      }
      for (int block = 0; block * kBlock < count; ++block) {
        transpose(blocks[block]);
        for (const __m512i& word : blocks[block]) {
          _mm512_store_si512(words, word);
          words += stride;
        }
      }
    }
  }

  // Tiles [from, end) of 32 columns, which are quantised into `panel`.
  void block(int column, int from, int end, Panel panel) const {
    const int width = std::min(kPanelLanes, p_.columns - column);
    const bool wide = width > kLanes;
    const int stride = wide ? kPanelLanes : kLanes;
    const T* const b = p_.b + column * p_.b_stride;
    quantize_columns(b, std::min(width, kLanes), panel.words, stride, panel.scales);
    if (wide) {
      quantize_columns(b + kLanes * p_.b_stride, width - kLanes, panel.words + kLanes, stride, panel.scales + kLanes);
    }
    alignas(64) float sums[kTileRows * kPanelLanes];
    for (int t = from; t < end; ++t) {
      const int m = t * kTileRows;
      const int rows = std::min(kTileRows, p_.rows - m);
      const RowMajor a = {a_ + m * a_stride_, a_stride_};
      if (wide) {
        multiply_rows<kTileRows, 2>(rows, a, factors_of(t), panel, words_, sums);
      } else {
        multiply_rows<kTileRows, 1>(rows, a, factors_of(t), panel, words_, sums);
      }
      for (int i = 0; i < rows; ++i) {
        finish_row(sums + static_cast<std::ptrdiff_t>(i) * kPanelLanes, width, nullptr,
                   p_.bias == nullptr ? nullptr : p_.bias + column, p_.gelu,
                   p_.residual == nullptr ? nullptr : p_.residual + (m + i) * p_.residual_stride + column,
                   p_.out + (m + i) * p_.out_stride + column);
      }
    }
  }

  const Products<T>& p_;
  int threads_;
  int groups_;
  int words_;  // of a row, padded
  int tiles_;  // of the rows of A, each of up to 14
  std::size_t a_stride_;
  std::size_t panel_bytes_ = 0;  // of a thread
  std::size_t scales_at_ = 0;    // in these
  std::byte* panels_ = nullptr;
  RowFactors* factors_ = nullptr;
  Word* a_ = nullptr;
};

template <class T>
void run(const Products<T>& products, Scratch& scratch, int threads) {
  if (products.rows > 0 && products.columns > 0) Run<T>(products, scratch, threads).run();
}

}  // namespace

void multiply_int8(const Products<float>& products, Scratch& scratch, int threads) { run(products, scratch, threads); }
void multiply_int8(const Products<F16>& products, Scratch& scratch, int threads) { run(products, scratch, threads); }
void multiply_int8(const Products<Bf16>& products, Scratch& scratch, int threads) { run(products, scratch, threads); }

}  // namespace escribano::engine::kernels
