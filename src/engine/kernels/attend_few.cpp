#include <algorithm>
#include <atomic>

#include "engine/kernels/kernels.h"
#include "engine/kernels/tile.h"

// Attention of few queries, as in a decode step: reading keys and values is most of the work, so they are used from where
// they lie, by up to four queries at a time.
namespace escribano::engine::kernels {
namespace {

constexpr int kQueries = 4;  // at once
constexpr int kKeys = 4;     // at once: with the queries 16 sums
constexpr int kValueVectors = 4;
constexpr int kLineHalves = 32;  // numbers of a cache line
constexpr int kKeysAhead = 16;  // that are asked for before they are used: those of a head do not lie beside each other

__m512 load(const F16* x) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x))); }

// The queries that share keys and values: those of one head after the other.
class Group {
 public:
  Group(const Attention& attention, int kv_head)
      : a_(attention),
        first_head_(kv_head * (a_.heads / a_.kv_heads)),
        k_(static_cast<const F16*>(a_.k) + kv_head * a_.k_step),
        v_(static_cast<const F16*>(a_.v) + kv_head * a_.v_step) {}

  // `scores` has room for four times the keys, each rounded up to 16.
  void run(float* scores) const {
    const int count = a_.queries * (a_.heads / a_.kv_heads);
    for (int i = 0; i < count; i += kQueries) {
      switch (std::min(kQueries, count - i)) {
        case 1: attend<1>(i, scores); break;
        case 2: attend<2>(i, scores); break;
        case 3: attend<3>(i, scores); break;
        default: attend<4>(i, scores); break;
      }
    }
  }

  static std::size_t stride_of_scores(int keys) {
    return (static_cast<std::size_t>(keys) + kLanes - 1) / kLanes * kLanes;
  }

 private:
  int query(int i) const { return i % a_.queries; }
  int head(int i) const { return first_head_ + i / a_.queries; }

  // The keys that a query may look at: those up to the last that the mask leaves open.
  int open_keys(int i) const {
    if (a_.mask == nullptr) return a_.keys;
    constexpr auto kClosed = static_cast<F16>(0xfc00);  // minus infinity
    const F16* const mask = a_.mask + query(i) * a_.mask_stride;
    int end = a_.keys;
    while (end > 1 && mask[end - 1] == kClosed) --end;
    return end;
  }

  // Queries i .. + kCount - 1.
  template <int kCount>
  void attend(int i, float* scores) const {
    const std::size_t stride = stride_of_scores(a_.keys);
    int keys = 1;
    for (int m = 0; m < kCount; ++m) keys = std::max(keys, open_keys(i + m));
    const float* q[kCount];
    for (int m = 0; m < kCount; ++m) q[m] = a_.q + head(i + m) * a_.q_step + query(i + m) * a_.q_stride;
    for (int key = 0; key < keys; key += kKeys)
      score<kCount>(q, key, std::min(kKeys, keys - key), scores + key, stride);
    __m512 norms[kCount];
    float* out[kCount];
    for (int m = 0; m < kCount; ++m) {
      norms[m] = weigh(scores + m * stride, i + m, keys);
      out[m] = a_.out + head(i + m) * a_.out_step + query(i + m) * a_.out_stride;
    }
    for (int column = 0; column < a_.width; column += kValueVectors * kLanes) {
      switch (std::min(kValueVectors, (a_.width - column) / kLanes)) {
        case 1: add_values<kCount, 1>(scores, stride, keys, column, norms, out); break;
        case 2: add_values<kCount, 2>(scores, stride, keys, column, norms, out); break;
        case 3: add_values<kCount, 3>(scores, stride, keys, column, norms, out); break;
        default: add_values<kCount, 4>(scores, stride, keys, column, norms, out); break;
      }
    }
  }

  // Asks for the part of a later key or value that begins at `column`.
  static void fetch(const F16* first, std::size_t stride, int key, int keys, int column) {
    const auto later = static_cast<std::size_t>(std::min(key + kKeysAhead, keys - 1));
    _mm_prefetch(reinterpret_cast<const char*>(first + later * stride + column), _MM_HINT_T0);
  }

  // to[m][j] = q[m] . key + j
  template <int kCount>
  void score(const float* const (&q)[kCount], int key, int count, float* to, std::size_t stride) const {
    const F16* k[kKeys];
    for (int j = 0; j < kKeys; ++j) k[j] = k_ + (key + std::min(j, count - 1)) * a_.k_stride;
    __m512 dots[kCount][kKeys];
#pragma GCC unroll 4
    for (std::ptrdiff_t m = 0; m < kCount; ++m) {
#pragma GCC unroll 4
      for (std::ptrdiff_t j = 0; j < kKeys; ++j) dots[m][j] = _mm512_setzero_ps();
    }
    for (int d = 0; d < a_.width; d += kLanes) {
      __m512 of_key[kKeys];
#pragma GCC unroll 4
      for (std::ptrdiff_t j = 0; j < kKeys; ++j) of_key[j] = load(k[j] + d);
      if (d % kLineHalves == 0) {
        for (int j = 0; j < kKeys; ++j) fetch(k_, a_.k_stride, key + j, a_.keys, d);
      }
#pragma GCC unroll 4
      for (std::ptrdiff_t m = 0; m < kCount; ++m) {
        const __m512 of_query = _mm512_loadu_ps(q[m] + d);
#pragma GCC unroll 4
        for (std::ptrdiff_t j = 0; j < kKeys; ++j) dots[m][j] = _mm512_fmadd_ps(of_query, of_key[j], dots[m][j]);
      }
    }
#pragma GCC unroll 4
    for (std::ptrdiff_t m = 0; m < kCount; ++m) {
      _mm_storeu_ps(to + m * stride, sums_of(dots[m][0], dots[m][1], dots[m][2], dots[m][3]));
    }
  }

  // exp(scale * x + mask - largest) in place of the scores of query i; returns one over their sum.
  __m512 weigh(float* x, int i, int keys) const {
    const F16* const mask = a_.mask == nullptr ? nullptr : a_.mask + query(i) * a_.mask_stride;
    const __m512 scale = _mm512_set1_ps(a_.scale);
    __m512 most = _mm512_set1_ps(-__builtin_inff());
    for (int j = 0; j < keys; j += kLanes) {
      const __mmask16 present = lanes(keys - j);
      const __m512 more =
          mask == nullptr ? _mm512_setzero_ps() : _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(present, mask + j));
      const __m512 scaled = _mm512_fmadd_ps(_mm512_loadu_ps(x + j), scale, more);
      most = _mm512_mask_max_ps(most, present, most, scaled);
      _mm512_storeu_ps(x + j, scaled);
    }
    most = _mm512_set1_ps(_mm512_reduce_max_ps(most));
    __m512 sum = _mm512_setzero_ps();
    for (int j = 0; j < keys; j += kLanes) {
      const __m512 e = exp_of_negative(_mm512_sub_ps(_mm512_loadu_ps(x + j), most));
      sum = _mm512_mask_add_ps(sum, lanes(keys - j), sum, e);
      _mm512_storeu_ps(x + j, e);
    }
    return _mm512_set1_ps(1.0F / _mm512_reduce_add_ps(sum));
  }

  // out[m][column ...] = norms[m] * sum over the keys of weight[m] * value
  template <int kCount, int kVectors>
  void add_values(const float* weights, std::size_t stride, int keys, int column, const __m512* norms,
                  float* const (&out)[kCount]) const {
    __m512 sums[kCount][kVectors];
#pragma GCC unroll 4
    for (std::ptrdiff_t m = 0; m < kCount; ++m) {
#pragma GCC unroll 4
      for (std::ptrdiff_t d = 0; d < kVectors; ++d) sums[m][d] = _mm512_setzero_ps();
    }
    for (std::ptrdiff_t key = 0; key < keys; ++key) {
      const F16* const v = v_ + key * a_.v_stride + column;
      for (int d = 0; d < kVectors * kLanes; d += kLineHalves) {
        fetch(v_, a_.v_stride, static_cast<int>(key), keys, column + d);
      }
      __m512 of_value[kVectors];
#pragma GCC unroll 4
      for (std::ptrdiff_t d = 0; d < kVectors; ++d) of_value[d] = load(v + d * kLanes);
#pragma GCC unroll 4
      for (std::ptrdiff_t m = 0; m < kCount; ++m) {
        const __m512 weight = _mm512_set1_ps(weights[m * stride + key]);
#pragma GCC unroll 4
        for (std::ptrdiff_t d = 0; d < kVectors; ++d) sums[m][d] = _mm512_fmadd_ps(weight, of_value[d], sums[m][d]);
      }
    }
#pragma GCC unroll 4
    for (std::ptrdiff_t m = 0; m < kCount; ++m) {
#pragma GCC unroll 4
      for (std::ptrdiff_t d = 0; d < kVectors; ++d) {
        _mm512_storeu_ps(out[m] + column + d * kLanes, _mm512_mul_ps(sums[m][d], norms[m]));
      }
    }
  }

  const Attention& a_;
  int first_head_;
  const F16* k_;
  const F16* v_;
};

}  // namespace

void attend_few(std::span<const Attention> attentions, Scratch& scratch, int threads) {
  if (attentions.empty()) return;
  std::size_t stride = 0;
  int kv_heads = 0;
  for (const Attention& a : attentions) {
    stride = std::max(stride, kQueries * Group::stride_of_scores(a.keys));
    kv_heads = std::max(kv_heads, a.kv_heads);
  }
  const int tasks = static_cast<int>(attentions.size()) * kv_heads;
  auto* const scores =
      reinterpret_cast<float*>(scratch.get(stride * sizeof(float) * static_cast<std::size_t>(threads)));
  std::atomic<int> next_thread = 0;
#pragma omp parallel num_threads(threads)
  {
    float* const own = scores + static_cast<std::size_t>(next_thread.fetch_add(1)) * stride;
#pragma omp for schedule(dynamic)
    for (int task = 0; task < tasks; ++task) {
      const Attention& a = attentions[static_cast<std::size_t>(task / kv_heads)];
      if (const int head = task % kv_heads; head < a.kv_heads) Group(a, head).run(own);
    }
  }
}

}  // namespace escribano::engine::kernels
