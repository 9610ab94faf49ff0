#include <algorithm>
#include <cstdint>

#include "engine/kernels/finish_row.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/tile.h"

// Products of few rows, as in a decode step, which read all weights for little work. So weights are multiplied from where
// they lie, in the order in which they lie, and asked for ahead: rows of them are often as long as a page of memory, at
// whose end the processor's own reading ahead stops.
//
// A row of A times a row of B is 16 sums, of every 16th word of both, which are added in one order at the end.
namespace escribano::engine::kernels {
namespace {

constexpr int kColumns = 4;       // of the output, whose weights are read beside each other
constexpr int kRowsAtOnce = 6;    // with them 24 sums, 4 of B and 1 of A of the 32 registers there are
constexpr int kMostColumns = 64;  // of a task
constexpr std::size_t kTaskBytes = std::size_t{256}
                                   << 10U;  // of weights, which stay in the second cache for further rows

struct AddFloat {
  static __m512 add(__m512 sum, __m512i a, __m512i b) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum);
  }
};
struct AddBf16 {
  static __m512 add(__m512 sum, __m512i a, __m512i b) {
    return _mm512_dpbf16_ps(sum, std::bit_cast<__m512bh>(a), std::bit_cast<__m512bh>(b));
  }
};

// One product; LoadA and LoadB say how 16 words of a row are read.
template <class Add, class LoadA, class LoadB, class T>
class Run {
 public:
  Run(const Products<T>& product, Scratch& scratch, int threads)
      : p_(product),
        threads_(threads),
        words_((p_.depth + kElements - 1) / kElements),
        padded_((words_ + kLanes - 1) / kLanes * kLanes) {
    a_ = reinterpret_cast<Word*>(
        scratch.get(static_cast<std::size_t>(p_.rows) * static_cast<std::size_t>(padded_) * sizeof(Word)));
  }

  void run() {
    // So many columns that every thread gets some, and several where there are many.
    const std::size_t in_cache = kTaskBytes / (static_cast<std::size_t>(padded_) * sizeof(Word));
    const int most = std::min(p_.columns / (4 * threads_), static_cast<int>(in_cache)) / kColumns * kColumns;
    const int columns = std::clamp(most, 4 * kColumns, kMostColumns);
#pragma omp parallel num_threads(threads_)
    {
#pragma omp for schedule(static)
      for (int m = 0; m < p_.rows; ++m) store_row(m);
#pragma omp for schedule(dynamic)
      for (int n = 0; n < p_.columns; n += columns) task(n, std::min(columns, p_.columns - n));
    }
  }

 private:
  static constexpr int kElements = LoadB::kElementsAWord;

  Word* row(int m) const { return a_ + static_cast<std::ptrdiff_t>(m) * padded_; }

  void store_row(int m) const {
    const float* const from = p_.a + m * p_.a_stride;
    for (int w = 0; w < padded_; w += kLanes) {
      _mm512_store_si512(row(m) + w, LoadA::load(from + static_cast<std::ptrdiff_t>(w) * kElements, lanes(words_ - w)));
    }
  }

  // `count` columns from n on.
  void task(int n, int count) const {
    const bool unfinished = p_.bias != nullptr || p_.residual != nullptr || p_.gelu;
    alignas(64) float sums[kRowsAtOnce * kMostColumns];
    for (int m = 0; m < p_.rows; m += kRowsAtOnce) {
      const int rows = std::min(kRowsAtOnce, p_.rows - m);
      for (int i = 0; i < count; i += kColumns) {
        multiply_rows<kRowsAtOnce>(rows, row(m), n + i, std::min(kColumns, count - i), m == 0, sums + i);
      }
      for (int i = 0; i < rows; ++i) {
        const float* const from = sums + static_cast<std::ptrdiff_t>(i) * kMostColumns;
        float* const to = p_.out + (m + i) * p_.out_stride + n;
        if (unfinished) {
          finish_row(from, count, nullptr, p_.bias == nullptr ? nullptr : p_.bias + n, p_.gelu,
                     p_.residual == nullptr ? nullptr : p_.residual + (m + i) * p_.residual_stride + n, to);
        } else {
          std::copy_n(from, count, to);
        }
      }
    }
  }

  template <int kRows>
  void multiply_rows(int rows, const Word* a, int n, int columns, bool first, float* sums) const {
    if (rows == kRows) return multiply_tile<kRows>(a, n, columns, first, sums);
    if constexpr (kRows > 1) multiply_rows<kRows - 1>(rows, a, n, columns, first, sums);
  }

  // sums[i][j] = row i of A times row n + j of B, for up to four j. `first`: B was not read before.
  template <int kRows>
  void multiply_tile(const Word* a, int n, int columns, bool first, float* sums) const {
    const T* b[kColumns];
    for (int j = 0; j < kColumns; ++j) b[j] = p_.b + (n + std::min(j, columns - 1)) * p_.b_stride;
    // What is wanted next lies behind what is read now; behind the end nothing is asked for.
    const bool ahead = first && n + 2 * kColumns <= p_.columns;
    const std::size_t next = ahead ? kColumns * p_.b_stride : 0;
    __m512 dots[kRows][kColumns];
#pragma GCC unroll 8
    for (std::ptrdiff_t i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (std::ptrdiff_t j = 0; j < kColumns; ++j) dots[i][j] = _mm512_setzero_ps();
    }
    for (int w = 0; w < words_; w += kLanes) {
      const __mmask16 present = lanes(words_ - w);
      __m512i of_b[kColumns];
#pragma GCC unroll 4
      for (std::ptrdiff_t j = 0; j < kColumns; ++j) {
        const T* const at = b[j] + static_cast<std::ptrdiff_t>(w) * kElements;
        if (first) _mm_prefetch(reinterpret_cast<const char*>(at + next), _MM_HINT_T1);
        of_b[j] = LoadB::load(at, present);
      }
#pragma GCC unroll 8
      for (std::ptrdiff_t i = 0; i < kRows; ++i) {
        const __m512i of_a = _mm512_load_si512(a + i * padded_ + w);
#pragma GCC unroll 4
        for (std::ptrdiff_t j = 0; j < kColumns; ++j) dots[i][j] = Add::add(dots[i][j], of_a, of_b[j]);
      }
    }
#pragma GCC unroll 8
    for (std::ptrdiff_t i = 0; i < kRows; ++i) {
      _mm_storeu_ps(sums + i * kMostColumns, sums_of(dots[i][0], dots[i][1], dots[i][2], dots[i][3]));
    }
  }

  const Products<T>& p_;
  int threads_;
  int words_;   // of a row
  int padded_;  // of a row of A, whose end is zeros
  Word* a_ = nullptr;
};

template <class Add, class LoadA, class LoadB, class T>
void run(const Products<T>& products, Scratch& scratch, int threads) {
  if (products.rows > 0 && products.columns > 0) Run<Add, LoadA, LoadB, T>(products, scratch, threads).run();
}

}  // namespace

void multiply_few(const Products<float>& products, Scratch& scratch, int threads) {
  run<AddFloat, LoadFloat, LoadFloat>(products, scratch, threads);
}
void multiply_few(const Products<F16>& products, Scratch& scratch, int threads) {
  run<AddFloat, LoadFloat, LoadF16AsFloat>(products, scratch, threads);
}
void multiply_few(const Products<Bf16>& products, Scratch& scratch, int threads) {
  run<AddBf16, LoadFloatAsBf16, LoadBf16>(products, scratch, threads);
}

}  // namespace escribano::engine::kernels
