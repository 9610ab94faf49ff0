#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

// The arithmetic that vision tower and prefill spend their time in, for processors with AVX-512 and bf16 dot products.
// Nothing here knows of models or of llama.cpp.
//
// Every output is summed in one order, that of its inner index, whatever the number of rows, columns and threads: the
// same numbers go in, the same bits come out. Functions block; one thread calls, `threads` compute.
namespace escribano::engine::kernels {

// Whether this processor can run what is below. Nothing else may be called where it cannot.
bool supported() noexcept;
// Whether it has dot products of 8-bit integers, too (VNNI), which multiply_int8() needs beside them.
bool supports_int8() noexcept;

// Memory that is kept from call to call. One caller at a time.
class Scratch {
 public:
  // At least `bytes` bytes at a multiple of 64, of any content; valid until the next call.
  std::byte* get(std::size_t bytes);

 private:
  struct Free {
    void operator()(std::byte* p) const noexcept;
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t size_ = 0;
};

enum class Bf16 : std::uint16_t {};  // the upper half of a float
enum class F16 : std::uint16_t {};   // IEEE binary16

// `count` products: out[m][n] = sum over k of a[m][k] * b[n][k]. `out` may lie where A does. Strides are in elements of what they lead through; the
// innermost dimension is contiguous. B is float, or bf16 (then `depth` is even, and A is rounded to bf16, too).
template <class T>
struct Products {
  const float* a = nullptr;
  const T* b = nullptr;
  float* out = nullptr;
  int rows = 0;                                            // m
  int columns = 0;                                         // n
  int depth = 0;                                           // k
  std::size_t a_stride = 0, b_stride = 0, out_stride = 0;  // from row to row
  int count = 1;
  std::size_t a_step = 0, b_step = 0, out_step = 0;  // from product to product

  // What is done to out[m][n] before it is written, in this order: + bias[n], GELU (in its tanh form), + residual[m][n].
  const float* bias = nullptr;
  bool gelu = false;
  const float* residual = nullptr;  // may be `out`
  std::size_t residual_stride = 0;
};

void multiply(const Products<float>& products, Scratch& scratch, int threads);
void multiply(const Products<F16>& products, Scratch& scratch, int threads);
void multiply(const Products<Bf16>& products, Scratch& scratch, int threads);

// The same for few rows (a decode step), where B is multiplied without being packed. Sums are made in another order, which
// again depends on nothing but the depth. `count` is 1.
void multiply_few(const Products<float>& products, Scratch& scratch, int threads);
void multiply_few(const Products<F16>& products, Scratch& scratch, int threads);
void multiply_few(const Products<Bf16>& products, Scratch& scratch, int threads);

// The same with both sides rounded to bf16; `depth` is even.
void multiply_bf16(const Products<float>& products, Scratch& scratch, int threads);
void multiply_bf16(const Products<F16>& products, Scratch& scratch, int threads);
void multiply_bf16(const Products<Bf16>& products, Scratch& scratch, int threads);

// The same with both sides rounded to whole numbers from -127 to 127: every 128 elements of a row of A and of B that
// follow each other share a scale, a 127th of the largest magnitude among them. Sums within 128 are exact, those of the
// scaled sums are of floats. A row with an infinity or a NaN has results that are neither right nor finite; 128 numbers
// that are all below 2^-100 count as zeros. `count` is 1. Only where supports_int8().
void multiply_int8(const Products<float>& products, Scratch& scratch, int threads);
void multiply_int8(const Products<F16>& products, Scratch& scratch, int threads);
void multiply_int8(const Products<Bf16>& products, Scratch& scratch, int threads);

// The last part of a product by itself: out = gelu(x * weight + bias) + residual, each if wanted. `out` may be `x` or
// `residual`.
struct Finish {
  const float* x = nullptr;
  float* out = nullptr;
  int rows = 0;
  int columns = 0;
  std::size_t x_stride = 0, out_stride = 0;
  const float* weight = nullptr;
  const float* bias = nullptr;
  bool gelu = false;
  const float* residual = nullptr;
  std::size_t residual_stride = 0;
};
void finish(const Finish& work, int threads);

// Of every row: (x - mean) / sqrt(mean of its squares + epsilon) * weight + bias, where the mean is taken as 0 unless
// `centred`, and weight and bias, one for each column, may be nullptr. `out` may be `x`.
struct Normalization {
  const float* x = nullptr;
  float* out = nullptr;
  std::size_t rows = 0;  // beside each other
  int columns = 0;
  float epsilon = 0;
  bool centred = false;
  const float* weight = nullptr;
  const float* bias = nullptr;
};
void normalize(const Normalization& work, int threads);

// Every float as the half-precision number next to it, of two equally near ones the even one.
void round_to_f16(const float* x, F16* out, std::size_t count);

// out = gate / (1 + e^-gate) * up, of `count` floats. `out` may be either of them.
void swiglu(const float* gate, const float* up, float* out, std::size_t count, int threads);

// Rotary positions: of every head of a token the elements i and i + pairs are turned by the angle of that token and i.
// Strides are in elements. `out` may be `x`.
struct Rotation {
  const float* x = nullptr;
  float* out = nullptr;
  const float* cosines = nullptr;  // tokens x pairs
  const float* sines = nullptr;
  int tokens = 0;
  int heads = 0;
  int pairs = 0;                             // half of a head
  std::size_t x_stride = 0, out_stride = 0;  // from token to token
  std::size_t x_step = 0, out_step = 0;      // from head to head
};
void rotate(const Rotation& work, int threads);

// out = x[0] * weights[0] + .. + x[3] * weights[3], of `count` floats each. By the calling thread.
void blend(const float* const (&x)[4], const float (&weights)[4], float* out, std::size_t count);

// In every row of `columns` floats: exp(scale * x - largest) / sum of these, for scale > 0. `out` may be `x`.
void softmax(const float* x, float* out, std::size_t rows, int columns, float scale, int threads);

// For every head: out = softmax(scale * Q K^T + mask) V. Strides are in elements; `width` is the size of a head, a
// multiple of 16. Several heads of Q may share one of K and V. Exponentials and sums are of floats. `out` may lie where Q, K
// and V do.
struct Attention {
  enum class Type { f16, f32 };

  const float* q = nullptr;
  const void* k = nullptr;
  const void* v = nullptr;
  Type type = Type::f16;      // of K and V
  bool v_transposed = false;  // then v_stride leads from column to column, and a column's tokens are contiguous
  const F16* mask = nullptr;  // queries x keys, 0 or minus infinity; the same for all heads. nullptr: none
  float* out = nullptr;
  bool exact = true;  // products of floats; else Q, K, weights and V are rounded to bf16, at twice the speed
  int heads = 0;
  int kv_heads = 0;  // divides `heads`
  int queries = 0;
  int keys = 0;
  int width = 0;
  float scale = 1;
  std::size_t q_stride = 0, k_stride = 0, v_stride = 0, mask_stride = 0, out_stride = 0;  // from token to token
  std::size_t q_step = 0, k_step = 0, v_step = 0, out_step = 0;                           // from head to head
};
void attend(const Attention& attention, Scratch& scratch, int threads);
// The same for several of few queries each (the sequences of a decode step), whose K and V are f16 and not transposed:
// always exact, and in an order of its own. `out` lies apart.
void attend_few(std::span<const Attention> attentions, Scratch& scratch, int threads);

}  // namespace escribano::engine::kernels
