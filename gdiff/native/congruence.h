// A B A of symmetric matrices, for sizes at which a call of a library takes longer than the products.
#pragma once

#include "kernels.h"
#include "vectors.h"

namespace gdiff {
namespace {

// `R` rows of a b, and a vector of their columns: a and `to` are where the rows begin, b where the columns do.
template <class T, int R>
inline void multiply_tile(int64_t d, const T* a, const T* b, T* to) {
  Vector<T> sum[R] = {};
  for (int64_t k = 0; k < d; k++) {
    const Vector<T> row = load(b + k * d);
    for (int r = 0; r < R; r++) sum[r] += fill(a[r * d + k]) * row;
  }
  for (int r = 0; r < R; r++) store(to + r * d, sum[r]);
}

// to = a b, of (d, d) each; the last vector of columns ends where the rows do, and may meet the one before.
template <class T>
void multiply(int64_t d, const T* a, const T* b, T* to) {
  constexpr int64_t N = lanes<T>, R = 4;
  if (d < N) {
    for (int64_t i = 0; i < d; i++)
      for (int64_t j = 0; j < d; j++) {
        T sum = 0;
        for (int64_t k = 0; k < d; k++) sum += a[i * d + k] * b[k * d + j];
        to[i * d + j] = sum;
      }
    return;
  }
  for (int64_t i = 0, rows; i < d; i += rows) {
    rows = i + R <= d ? R : 1;
    const auto tile = rows == R ? multiply_tile<T, R> : multiply_tile<T, 1>;
    for (int64_t j = 0; j < d; j += N) {
      const int64_t first = j + N <= d ? j : d - N;
      tile(d, a + i * d, b + first, to + i * d + first);
    }
  }
}

// out = a b a, exactly symmetric, by way of half = a b.
template <class T>
void multiply_three(int64_t d, const T* a, const T* b, T* half, T* out) {
  multiply(d, a, b, half);
  multiply(d, half, a, out);
  for (int64_t i = 0; i < d; i++)
    for (int64_t j = 0; j < i; j++) out[i * d + j] = out[j * d + i] = out[i * d + j] / 2 + out[j * d + i] / 2;
}

template <class T>
void congruence(const Pool& pool, const Congruence<T>& a) {
  const int64_t d = a.d, piece = 1 + 65536 / (d * d * d);
  parallel_pieces(pool, a.count, piece, [=, &pool, &a](int64_t begin, int64_t end) {
    const Room<T> half(pool, d * d);
    for (int64_t item = begin; half.at && item < end; item++) {
      const int64_t from = item * d * d;
      multiply_three(d, a.a + from, a.b + from, half.at, a.out + from);
    }
  });
}

}  // namespace
}  // namespace gdiff
