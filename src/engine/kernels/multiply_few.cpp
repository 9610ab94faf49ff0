#include <algorithm>
#include <type_traits>

#include "engine/kernels/finish_row.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/overlap.h"
#include "engine/kernels/tile.h"

// Products of few rows, as in a decode step, which read all weights for little work. So weights are multiplied from where
// they lie, in the order in which they lie, and asked for ahead: rows of them are often as long as a page of memory, at
// whose end the processor's own reading ahead stops.
//
// A row of A times a row of B is 16 sums, of every 16th word of both, which are added in one order at the end.
namespace escribano::engine::kernels {
namespace {

constexpr int kColumns = 4;                  // of the output, whose weights are read beside each other
constexpr int kRowsAtOnce = 6;               // with them 24 sums, 4 of B and 1 of A of the 32 registers there are
constexpr int kMostColumns = 64;             // of a task
constexpr int kMostRows = 11 * kRowsAtOnce;  // for which weights are read once

constexpr std::ptrdiff_t kLineBytes = 64;

// Lines of memory to ask for with every 16 words.
struct Lines {
  const char* at = nullptr;
  int count = 0;
};

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
        padded_((words_ + kLanes - 1) / kLanes * kLanes),
        a_stride_(p_.a_stride) {
    if (!must_store(p_)) return;
    a_stride_ = static_cast<std::size_t>(padded_);
    a_ = reinterpret_cast<Word*>(scratch.get(static_cast<std::size_t>(p_.rows) * a_stride_ * sizeof(Word)));
  }

  void run() {
    // So many columns that every thread gets some, and several times where there are many.
    const int share = p_.columns / (4 * threads_) / kColumns * kColumns;
    const int columns = std::clamp(share, 4 * kColumns, kMostColumns);
#pragma omp parallel num_threads(threads_)
    {
      if (a_ != nullptr) {
#pragma omp for schedule(static)
        for (int m = 0; m < p_.rows; ++m) store_row(m);
      }
#pragma omp for schedule(dynamic) nowait
      for (int n = 0; n < p_.columns; n += columns) task(n, std::min(columns, p_.columns - n));
    }
  }

 private:
  static constexpr int kElements = LoadB::kElementsAWord;

  // Floats are multiplied from where they lie, unless the result may come to lie over them.
  static bool must_store(const Products<T>& p) {
    return !std::is_same_v<Add, AddFloat> || p.depth % kLanes != 0 || may_overwrite(p);
  }

  const Word* row(int m) const {
    if (a_ != nullptr) return a_ + m * a_stride_;
    return reinterpret_cast<const Word*>(p_.a) + m * a_stride_;
  }

  void store_row(int m) const {
    const float* const from = p_.a + m * p_.a_stride;
    Word* const to = a_ + m * a_stride_;
    for (int w = 0; w < padded_; w += kLanes) {
      _mm512_storeu_si512(to + w, LoadA::load(from + static_cast<std::ptrdiff_t>(w) * kElements, lanes(words_ - w)));
    }
  }

  // `count` columns from n on.
  void task(int n, int count) const {
    alignas(64) float sums[kMostRows * kMostColumns];
    for (int m = 0; m < p_.rows; m += kMostRows) {
      const int rows = std::min(kMostRows, p_.rows - m);
      const int blocks = (rows + kRowsAtOnce - 1) / kRowsAtOnce;
      for (int i = 0; i < count; i += kColumns) {
        Lines next = lines_behind(n + i, blocks);
        if (m > 0) next.count = 0;
        for (int block = 0; block < blocks; ++block) {
          const int first = block * kRowsAtOnce;
          multiply_rows<kRowsAtOnce>(std::min(kRowsAtOnce, rows - first), row(m + first), n + i,
                                     std::min(kColumns, count - i), next,
                                     sums + static_cast<std::ptrdiff_t>(first) * kMostColumns + i);
          next.at += steps() * next.count * kLineBytes;
        }
      }
      store_sums(sums, m, rows, n, count);
    }
  }

  std::ptrdiff_t steps() const { return padded_ / kLanes; }

  // What is wanted after the four columns from n on lies behind them. `blocks` of rows share the work of asking for it;
  // behind the end nothing is asked for.
  Lines lines_behind(int n, int blocks) const {
    if (n + 2 * kColumns > p_.columns) return {};
    return {reinterpret_cast<const char*>(p_.b + (n + kColumns) * p_.b_stride), (kColumns + blocks - 1) / blocks};
  }

  void store_sums(const float* sums, int m, int rows, int n, int count) const {
    const bool unfinished = p_.bias != nullptr || p_.residual != nullptr || p_.gelu;
    for (int i = 0; i < rows; ++i, sums += kMostColumns) {
      float* const to = p_.out + (m + i) * p_.out_stride + n;
      if (unfinished) {
        finish_row(sums, count, nullptr, p_.bias == nullptr ? nullptr : p_.bias + n, p_.gelu,
                   p_.residual == nullptr ? nullptr : p_.residual + (m + i) * p_.residual_stride + n, to);
      } else {
        std::copy_n(sums, count, to);
      }
    }
  }

  template <int kRows>
  void multiply_rows(int rows, const Word* a, int n, int columns, Lines next, float* sums) const {
    if (rows == kRows) return multiply_tile<kRows>(a, n, columns, next, sums);
    if constexpr (kRows > 1) multiply_rows<kRows - 1>(rows, a, n, columns, next, sums);
  }

  // sums[i][j] = row i of A times row n + j of B, for up to four j.
  template <int kRows>
  void multiply_tile(const Word* a, int n, int columns, Lines next, float* sums) const {
    const T* b[kColumns];
    for (int j = 0; j < kColumns; ++j) b[j] = p_.b + (n + std::min(j, columns - 1)) * p_.b_stride;
    __m512 dots[kRows][kColumns];
#pragma GCC unroll 8
    for (std::ptrdiff_t i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (std::ptrdiff_t j = 0; j < kColumns; ++j) dots[i][j] = _mm512_setzero_ps();
    }
    for (int w = 0; w < words_; w += kLanes) {
      const __mmask16 present = lanes(words_ - w);
      for (int line = 0; line < next.count; ++line, next.at += kLineBytes) _mm_prefetch(next.at, _MM_HINT_T1);
      __m512i of_b[kColumns];
#pragma GCC unroll 4
      for (std::ptrdiff_t j = 0; j < kColumns; ++j) {
        of_b[j] = LoadB::load(b[j] + static_cast<std::ptrdiff_t>(w) * kElements, present);
      }
#pragma GCC unroll 8
      for (std::ptrdiff_t i = 0; i < kRows; ++i) {
        const __m512i of_a = _mm512_loadu_si512(a + i * a_stride_ + w);
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
  int padded_;  // of a row of A that is stored: its end is zeros
  std::size_t a_stride_;
  Word* a_ = nullptr;  // rows of A as words; nullptr: they are multiplied from where they lie
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
