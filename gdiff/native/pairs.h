// X⊗Y + Y⊗X on symmetric matrices, entry by entry, for rows and columns that each stand for a pair of indices.
//
// Where the second index of neighbouring columns stays and the first one counts up, as along a column of `vec` and
// `vech`, X and Y are read in the order in which they lie: such a run is vector code, on two rows of each.
#pragma once

#include <string.h>

#include "kernels.h"
#include "vectors.h"

namespace gdiff {
namespace {

struct Run {
  int64_t column, p, q, length;  // of the columns (p, q), (p + 1, q), ...
};

template <class T>
int64_t find_runs(const Pairs<T>& a, Run* runs) {
  int64_t found = 0;
  for (int64_t c = 0; c < a.size; c++) {
    Run* last = runs + found - 1;
    if (found && a.j[c] == last->q && a.i[c] == last->p + last->length)
      last->length++;
    else
      runs[found++] = {c, a.i[c], a.j[c], 1};
  }
  return found;
}

template <class T>
void of_row(const Pairs<T>& a, const Run* runs, int64_t count, int64_t width, const T* x, const T* y, int64_t r,
            T* out) {
#pragma clang fp contract(off)  // so that the result is symmetric, bit for bit
  constexpr int N = lanes<T>;
  using V = Vector<T>;
  const int64_t i = a.i[r], j = a.j[r];
  const T *xi = x + i * width, *xj = x + j * width, *yi = y + i * width, *yj = y + j * width;
  const T weight = a.weights[r] / 2;
  for (const Run* run = runs; run < runs + count; run++) {
    const int64_t p = run->p, q = run->q;
    const V xiq = fill(xi[q]), xjq = fill(xj[q]), yiq = fill(yi[q]), yjq = fill(yj[q]);
    for (int64_t k = 0; k < run->length; k += N) {
      V sum = load(xi + p + k) * yjq + xjq * load(yi + p + k);
      sum += xiq * load(yj + p + k) + load(xj + p + k) * yiq;
      const int64_t c = run->column + k, left = a.size - c;
      if (left >= N) {  // what goes beyond the run is written over by the next
        store(out + c, sum * (weight * load(a.weights + c)));
      } else {
        V scale = {};
        memcpy(&scale, a.weights + c, left * sizeof(T));
        sum *= weight * scale;
        memcpy(out + c, &sum, left * sizeof(T));
      }
    }
  }
}

template <class T>
void pairs(const Pool& pool, const Pairs<T>& a) {
  constexpr int64_t N = lanes<T>;
  const int64_t m = a.m, width = m + N;  // reads go up to a vector beyond a row's end
  T* padded = static_cast<T*>(calloc(2 * a.count * m * width, sizeof(T)));
  for (int64_t item = 0; item < 2 * a.count; item++)
    for (int64_t row = 0; row < m; row++) {
      const T* from = (item % 2 ? a.y : a.x) + (item / 2 * m + row) * m;
      memcpy(padded + (item * m + row) * width, from, m * sizeof(T));
    }
  Run* runs = static_cast<Run*>(malloc(a.size * sizeof(Run)));
  const int64_t found = find_runs(a, runs);
  const int64_t piece = 1 + 32768 / a.size, strips = (a.size + piece - 1) / piece;
  parallel(pool, a.count * strips, [=, &a](int64_t k) {
    const int64_t item = k / strips, first = k % strips * piece;
    const T *x = padded + 2 * item * m * width, *y = x + m * width;
    for (int64_t r = first; r < first + piece && r < a.size; r++)
      of_row(a, runs, found, width, x, y, r, a.out + (item * a.size + r) * a.size);
  });
  free(runs);
  free(padded);
}

}  // namespace
}  // namespace gdiff
