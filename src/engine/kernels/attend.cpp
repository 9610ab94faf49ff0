#include <algorithm>
#include <atomic>
#include <type_traits>

#include "engine/kernels/kernels.h"
#include "engine/kernels/tile.h"

namespace escribano::engine::kernels {
namespace {

// Columns of the values that are packed together: four registers, so that seven rows of them are 28 sums.
constexpr int kValueLanes = 64;

float largest(const float* x, int count) {
  __m512 most = _mm512_set1_ps(-__builtin_inff());
  for (int i = 0; i < count; i += kLanes) {
    const __mmask16 present = lanes(count - i);
    most = _mm512_mask_max_ps(most, present, most, _mm512_maskz_loadu_ps(present, x + i));
  }
  return _mm512_reduce_max_ps(most);
}

__m512 load(const F16* x) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x))); }
__m512 load(const float* x) { return _mm512_loadu_ps(x); }

// How a row of floats, and pairs of rows, become words for Dot.
template <class Dot>
struct Words;

template <>
struct Words<DotFloat> {
  static constexpr int kElements = 1;
  template <class T>
  using Load = std::conditional_t<std::is_same_v<T, F16>, LoadF16AsFloat, LoadFloat>;

  static void store(Word* to, int at, __m512 low, __m512 high) {
    _mm512_storeu_ps(reinterpret_cast<float*>(to + at), low);
    _mm512_storeu_ps(reinterpret_cast<float*>(to + at + kLanes), high);
  }
  template <class T>
  static void store_values(Word* to, const T* row, const T* /*next*/) {
    _mm512_store_ps(reinterpret_cast<float*>(to), load(row));
  }
};

template <>
struct Words<DotBf16> {
  static constexpr int kElements = 2;
  template <class T>
  using Load = std::conditional_t<std::is_same_v<T, F16>, LoadF16AsBf16, LoadFloatAsBf16>;

  static void store(Word* to, int at, __m512 low, __m512 high) {
    _mm512_storeu_si512(to + at / 2, std::bit_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
  }
  // Two rows, interleaved; the second may be missing.
  template <class T>
  static void store_values(Word* to, const T* row, const T* next) {
    const __m512i interleave = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22,
                                                6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512 second = next == nullptr ? _mm512_setzero_ps() : load(next);
    const auto both = std::bit_cast<__m512i>(_mm512_cvtne2ps_pbh(second, load(row)));
    _mm512_store_si512(to, _mm512_permutexvar_epi16(interleave, both));
  }
};

// One kind of attention: products by Dot, keys and values of type T. All that is read is packed before anything is written.
template <class Dot, class T>
class Heads {
 public:
  Heads(const Attention& attention, Scratch& scratch, int threads)
      : a_(attention), threads_(threads), memory_(reserve(scratch)) {}

  void run() {
    const int panels = padded_keys_ / kPanelLanes;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads_)
    for (int head = 0; head < a_.kv_heads; ++head) {
      for (int panel = 0; panel < panels; ++panel) pack(head, panel * kPanelLanes);
    }
    const int tiles = (a_.queries + kTileRows - 1) / kTileRows;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads_)
    for (int head = 0; head < a_.heads; ++head) {
      for (int tile = 0; tile < tiles; ++tile) pack_queries(head, tile);
    }
    std::atomic<int> next_thread = 0;
#pragma omp parallel num_threads(threads_)
    {
      Word* const memory = threads_memory_ + static_cast<std::size_t>(next_thread.fetch_add(1)) * thread_words_;
#pragma omp for collapse(2) schedule(dynamic, 4)
      for (int head = 0; head < a_.heads; ++head) {
        for (int tile = 0; tile < tiles; ++tile) attend(head, tile, memory);
      }
    }
  }

 private:
  static constexpr int kElements = Words<Dot>::kElements;  // of a word

  Word* reserve(Scratch& scratch) {
    const std::size_t heads_words =
        static_cast<std::size_t>(a_.kv_heads) * head_words_ + static_cast<std::size_t>(a_.heads) * query_words_;
    auto* const memory = reinterpret_cast<Word*>(
        scratch.get((heads_words + static_cast<std::size_t>(threads_) * thread_words_) * sizeof(Word)));
    threads_memory_ = memory + heads_words;
    return memory;
  }

  Word* packed_keys(int head, int key) const {
    return memory_ + static_cast<std::size_t>(head) * head_words_ + static_cast<std::size_t>(key) * depth_;
  }
  // Values lie in blocks of 64 columns, in each of which those of a key (or of a pair) follow each other.
  Word* packed_values(int head, int column, int key) const {
    const auto lanes_here = static_cast<std::size_t>(std::min(kValueLanes, a_.width - column));
    return memory_ + static_cast<std::size_t>(head) * head_words_ + key_words_ +
           static_cast<std::size_t>(column) * value_rows_ + static_cast<std::size_t>(key / kElements) * lanes_here;
  }

  Word* packed_queries(int head, int tile) const {
    return memory_ + static_cast<std::size_t>(a_.kv_heads) * head_words_ +
           static_cast<std::size_t>(head) * query_words_ + static_cast<std::size_t>(tile) * depth_ * kLanes;
  }

  void pack_queries(int head, int tile) {
    const int first = tile * kTileRows;
    pack_rows<typename Words<Dot>::template Load<float>>(a_.q + head * a_.q_step + first * a_.q_stride, a_.q_stride,
                                                         std::min(kTileRows, a_.queries - first),
                                                         static_cast<int>(depth_), packed_queries(head, tile), kLanes);
  }

  // Keys `first` .. + 31 of a head and their values. Those behind the last are zeros, and get no weight.
  void pack(int head, int first) {
    const auto* const k = static_cast<const T*>(a_.k) + head * a_.k_step + first * a_.k_stride;
    for (int half = 0; half < 2; ++half) {
      const std::ptrdiff_t at = half == 0 ? 0 : kLanes;
      const int rows = std::clamp(a_.keys - first - static_cast<int>(at), 0, kLanes);
      pack_rows<typename Words<Dot>::template Load<T>>(k + at * a_.k_stride, a_.k_stride, rows,
                                                       static_cast<int>(depth_), packed_keys(head, first) + at,
                                                       kPanelLanes);
    }
    const auto* const v = static_cast<const T*>(a_.v) + head * a_.v_step;
    if (a_.v_transposed) return pack_transposed_values(head, v, first);
    for (int column = 0; column < a_.width; column += kValueLanes) {
      const int lanes_here = std::min(kValueLanes, a_.width - column);
      for (int key = first; key < first + kPanelLanes; key += kElements) {
        Word* const to = packed_values(head, column, key);
        for (int d = 0; d < lanes_here; d += kLanes) {
          if (key >= a_.keys) {
            _mm512_store_si512(to + d, _mm512_setzero_si512());
            continue;
          }
          const T* const row = v + key * a_.v_stride + column + d;
          Words<Dot>::store_values(to + d, row, key + 1 < a_.keys ? row + a_.v_stride : nullptr);
        }
      }
    }
  }

  void pack_transposed_values(int head, const T* v, int first) {
    const int keys = std::min(kPanelLanes, a_.keys - first);
    const std::ptrdiff_t depth = (keys + kElements - 1) / kElements;
    for (int column = 0; column < a_.width; column += kValueLanes) {
      const int lanes_here = std::min(kValueLanes, a_.width - column);
      Word* const to = packed_values(head, column, first);
      std::fill(to + depth * lanes_here, to + static_cast<std::ptrdiff_t>(kPanelLanes / kElements) * lanes_here,
                Word{0});
      for (int d = 0; d < lanes_here; d += kLanes) {
        pack_rows<typename Words<Dot>::template Load<T>>(v + (column + d) * a_.v_stride + first, a_.v_stride, kLanes,
                                                         static_cast<int>(depth), to + d, lanes_here);
      }
    }
  }

  // Keys that any of these queries may look at: those up to the last that the mask leaves open.
  int open_keys(int first, int rows) const {
    if (a_.mask == nullptr) return a_.keys;
    constexpr auto kClosed = static_cast<F16>(0xfc00);  // minus infinity
    int open = 1;
    for (int m = first; m < first + rows; ++m) {
      const F16* const mask = a_.mask + m * a_.mask_stride;
      int end = a_.keys;
      while (end > open && mask[end - 1] == kClosed) --end;
      open = std::max(open, end);
    }
    return open;
  }

  // exp(scale * x + mask - largest) in words for Dot, and one over their sum.
  float weigh(float* x, const F16* mask, int count, int padded, Word* out) const {
    const __m512 scale = _mm512_set1_ps(mask == nullptr ? a_.scale : 1.0F);
    for (int i = 0; mask != nullptr && i < count; i += kLanes) {
      const __m512 more = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes(count - i), mask + i));
      _mm512_storeu_ps(x + i, _mm512_fmadd_ps(_mm512_loadu_ps(x + i), _mm512_set1_ps(a_.scale), more));
    }
    const __m512 most = _mm512_mul_ps(_mm512_set1_ps(largest(x, count)), scale);
    __m512 sum = _mm512_setzero_ps();
    for (int i = 0; i < padded; i += kPanelLanes) {
      __m512 low = exp_of_negative(_mm512_fmsub_ps(_mm512_loadu_ps(x + i), scale, most));
      __m512 high = exp_of_negative(_mm512_fmsub_ps(_mm512_loadu_ps(x + i + kLanes), scale, most));
      if (i + kPanelLanes > count) {
        low = _mm512_maskz_mov_ps(lanes(std::max(0, count - i)), low);
        high = _mm512_maskz_mov_ps(lanes(std::max(0, count - i - kLanes)), high);
      }
      sum = _mm512_add_ps(sum, low);
      sum = _mm512_add_ps(sum, high);
      Words<Dot>::store(out, i, low, high);
    }
    return 1.0F / _mm512_reduce_add_ps(sum);
  }

  template <int kVectors>
  void weighted_values(int rows, const Word* weights, std::size_t stride, const Word* values, int depth, float* out,
                       std::size_t out_stride) const {
    constexpr int kRows = std::min(kTileRows, 28 / kVectors);
    for (int m = 0; m < rows; m += kRows) {
      multiply_rows<Dot, kRows, kVectors>(std::min(kRows, rows - m), RowMajor{weights + m * stride, stride}, values,
                                          depth, out + m * out_stride, out_stride, lanes(kLanes));
    }
  }

  // A tile of queries against all keys that they may look at.
  void attend(int head, int tile, Word* memory) const {
    const int first = tile * kTileRows;
    const int rows = std::min(kTileRows, a_.queries - first);
    const int kv_head = head / (a_.heads / a_.kv_heads);
    const int keys = open_keys(first, rows);
    const int padded = (keys + kPanelLanes - 1) / kPanelLanes * kPanelLanes;
    auto* const scores = reinterpret_cast<float*>(memory);
    Word* const weights = memory + score_words_;
    const std::size_t weights_stride = scores_stride_ / kElements;

    for (int key = 0; key < padded; key += kPanelLanes) {
      multiply_rows<Dot, kTileRows, 2>(rows, Packed{packed_queries(head, tile)}, packed_keys(kv_head, key),
                                       static_cast<int>(depth_), scores + key, scores_stride_, lanes(kLanes));
    }
    float norms[kTileRows];
    for (int m = 0; m < rows; ++m) {
      const F16* const mask = a_.mask == nullptr ? nullptr : a_.mask + (first + m) * a_.mask_stride;
      norms[m] = weigh(scores + m * scores_stride_, mask, keys, padded, weights + m * weights_stride);
    }
    float* const out = a_.out + head * a_.out_step + first * a_.out_stride;
    for (int column = 0; column < a_.width; column += kValueLanes) {
      const Word* const values = packed_values(kv_head, column, 0);
      const int depth = padded / kElements;
      switch (std::min(kValueLanes, a_.width - column) / kLanes) {
        case 1: weighted_values<1>(rows, weights, weights_stride, values, depth, out + column, a_.out_stride); break;
        case 2: weighted_values<2>(rows, weights, weights_stride, values, depth, out + column, a_.out_stride); break;
        case 3: weighted_values<3>(rows, weights, weights_stride, values, depth, out + column, a_.out_stride); break;
        default: weighted_values<4>(rows, weights, weights_stride, values, depth, out + column, a_.out_stride); break;
      }
    }
    for (int m = 0; m < rows; ++m) {
      for (int d = 0; d < a_.width; d += kLanes) {
        float* const at = out + m * a_.out_stride + d;
        _mm512_storeu_ps(at, _mm512_mul_ps(_mm512_loadu_ps(at), _mm512_set1_ps(norms[m])));
      }
    }
  }

  // Sizes in words, all of whole cache lines.
  static std::size_t whole_lines(std::size_t words) { return (words + kLanes - 1) / kLanes * kLanes; }

  const Attention& a_;
  int threads_;
  int padded_keys_ = (a_.keys + kPanelLanes - 1) / kPanelLanes * kPanelLanes;
  std::size_t depth_ = static_cast<std::size_t>(a_.width / kElements);
  std::size_t value_rows_ = static_cast<std::size_t>(padded_keys_ / kElements);
  std::size_t key_words_ = static_cast<std::size_t>(padded_keys_) * depth_;
  std::size_t head_words_ = key_words_ + value_rows_ * static_cast<std::size_t>(a_.width);
  std::size_t query_words_ = static_cast<std::size_t>((a_.queries + kTileRows - 1) / kTileRows) * depth_ * kLanes;
  std::size_t scores_stride_ = static_cast<std::size_t>(padded_keys_) + kPanelLanes;
  std::size_t score_words_ = kTileRows * scores_stride_;
  std::size_t thread_words_ = whole_lines(score_words_ + score_words_ / kElements);
  Word* threads_memory_ = nullptr;
  Word* memory_;  // keys and values of all heads
};

}  // namespace

void softmax(const float* x, float* out, std::size_t rows, int columns, float scale, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (std::size_t row = 0; row < rows; ++row) {
    const float* const from = x + row * static_cast<std::size_t>(columns);
    float* const to = out + row * static_cast<std::size_t>(columns);
    const __m512 factor = _mm512_set1_ps(scale);
    const __m512 most = _mm512_set1_ps(largest(from, columns) * scale);
    __m512 sum = _mm512_setzero_ps();
    for (int i = 0; i < columns; i += kLanes) {
      const __mmask16 present = lanes(columns - i);
      const __m512 e = exp_of_negative(_mm512_fmsub_ps(_mm512_maskz_loadu_ps(present, from + i), factor, most));
      sum = _mm512_mask_add_ps(sum, present, sum, e);
      _mm512_mask_storeu_ps(to + i, present, e);
    }
    const __m512 norm = _mm512_set1_ps(1.0F / _mm512_reduce_add_ps(sum));
    for (int i = 0; i < columns; i += kLanes) {
      const __mmask16 present = lanes(columns - i);
      _mm512_mask_storeu_ps(to + i, present, _mm512_mul_ps(norm, _mm512_maskz_loadu_ps(present, to + i)));
    }
  }
}

void attend(const Attention& attention, Scratch& scratch, int threads) {
  if (attention.queries < 1 || attention.keys < 1) return;
  const bool f16 = attention.type == Attention::Type::f16;
  if (attention.exact) {
    f16 ? Heads<DotFloat, F16>(attention, scratch, threads).run()
        : Heads<DotFloat, float>(attention, scratch, threads).run();
  } else {
    f16 ? Heads<DotBf16, F16>(attention, scratch, threads).run()
        : Heads<DotBf16, float>(attention, scratch, threads).run();
  }
}

}  // namespace escribano::engine::kernels
