// A B A of symmetric matrices, for sizes at which a call of a library takes longer than the products.
#pragma once

#include "kernels.h"
#include "vectors.h"

namespace gdiff {
namespace {

// to = a b, of (d, d) each: row by row, a multiple of each row of b.
template <class T>
void multiply(int64_t d, const T* a, const T* b, T* to) {
  constexpr int N = lanes<T>;
  for (int64_t i = 0; i < d; i++) {
    const T* factors = a + i * d;
    int64_t j = 0;
    for (; j + N <= d; j += N) {
      Vector<T> sum = {};
      for (int64_t k = 0; k < d; k++) sum += fill(factors[k]) * load(b + k * d + j);
      store(to + i * d + j, sum);
    }
    for (; j < d; j++) {
      T sum = 0;
      for (int64_t k = 0; k < d; k++) sum += factors[k] * b[k * d + j];
      to[i * d + j] = sum;
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
  parallel(pool, (a.count + piece - 1) / piece, [=, &pool, &a](int64_t k) {
    const Room<T> half(pool, d * d);
    for (int64_t item = k * piece; half.at && item < (k + 1) * piece && item < a.count; item++) {
      const int64_t from = item * d * d;
      multiply_three(d, a.a + from, a.b + from, half.at, a.out + from);
    }
  });
}

}  // namespace
}  // namespace gdiff
