// A B A of symmetric matrices, for sizes at which a call of a library takes longer than the products.
#pragma once

#include "kernels.h"
#include "vectors.h"

namespace gdiff {
namespace {

// Of a tile: as many sums, and what they are made of, as there are registers, 32 of AVX-512 and else 16.
constexpr int ROWS = 4, VECTORS = GDIFF_WIDTH == 64 ? 4 : 3;

// `R` rows of a b and `C` vectors of their columns, of which each begins a vector after the one before, and the last
// ends where the rows do.
template <class T, int R, int C>
inline void multiply_tile(int64_t d, const T* a, const T* b, T* to, int64_t first) {
  Vector<T> sum[R][C] = {};
  int64_t at[C];
  for (int c = 0; c < C; c++) at[c] = first + (c + 1) * lanes<T> <= d ? first + c * lanes<T> : d - lanes<T>;
  for (int64_t k = 0; k < d; k++)
    for (int c = 0; c < C; c++) {
      const Vector<T> row = load(b + k * d + at[c]);
      for (int r = 0; r < R; r++) sum[r][c] += fill(a[r * d + k]) * row;
    }
  for (int r = 0; r < R; r++)
    for (int c = 0; c < C; c++) store(to + r * d + at[c], sum[r][c]);
}

// to = a b, of (d, d) each; with `lower`, of the lower triangle and of what fills its vectors up.
template <class T>
void multiply(int64_t d, const T* a, const T* b, T* to, bool lower) {
  constexpr int64_t N = lanes<T>;
  if (d < N) {
    for (int64_t i = 0; i < d; i++)
      for (int64_t j = 0; j < d; j++) {
        T sum = 0;
        for (int64_t k = 0; k < d; k++) sum += a[i * d + k] * b[k * d + j];
        to[i * d + j] = sum;
      }
    return;
  }
  using Tile = void (*)(int64_t, const T*, const T*, T*, int64_t);
  constexpr Tile known[2][4] = {
      {multiply_tile<T, 1, 1>, multiply_tile<T, 1, 2>, multiply_tile<T, 1, 3>, multiply_tile<T, 1, VECTORS>},
      {multiply_tile<T, ROWS, 1>, multiply_tile<T, ROWS, 2>, multiply_tile<T, ROWS, 3>, multiply_tile<T, ROWS, VECTORS>}};
  for (int64_t i = 0, rows; i < d; i += rows) {
    rows = i + ROWS <= d ? ROWS : 1;
    const int64_t columns = lower ? i + rows : d;
    for (int64_t j = 0; j < columns; j += VECTORS * N) {
      const int64_t left = (columns - j + N - 1) / N;
      known[rows == ROWS][(left < VECTORS ? left : VECTORS) - 1](d, a + i * d, b, to + i * d, j);
    }
  }
}

// The lower triangle, rows `from` to `to` of it, to the upper one.
template <class T>
void mirror(int64_t d, T* p, int64_t from, int64_t to) {
  constexpr int64_t side = 32;
  for (int64_t i0 = from; i0 < to; i0 += side)
    for (int64_t j0 = 0; j0 <= i0; j0 += side)
      for (int64_t i = i0; i < i0 + side && i < to; i++)
        for (int64_t j = j0; j < j0 + side && j < i; j++) p[j * d + i] = p[i * d + j];
}

// out = a b a, exactly symmetric, by way of half = a b.
template <class T>
void multiply_three(int64_t d, const T* a, const T* b, T* half, T* out) {
  multiply(d, a, b, half, false);
  multiply(d, half, a, out, true);
  mirror(d, out, 0, d);
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
