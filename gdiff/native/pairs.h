// X⊗Y + Y⊗X on symmetric matrices, entry by entry, for rows and columns that each stand for a pair of indices.
//
// Where the second index of neighbours stays and the first one counts up, as along a column of `vec` and `vech`, X and Y
// are read in the order in which they lie: such a run of columns is vector code, and up to four rows of a run, which
// have their second index in common, are formed together. What is larger than a core's caches goes past them: 14 MB that
// no cache holds take 0.65 ms so, and 1.6 ms if each line is fetched before it is written over.
#pragma once

#include <string.h>

#include "kernels.h"
#include "vectors.h"

namespace gdiff {
namespace {

constexpr int TOGETHER = 4;            // rows
constexpr int64_t STREAMED = 4 << 20;  // bytes of results, at least, that go past the caches,
constexpr int64_t LONG = 64;           // in rows of so many entries, at least

// Neighbours (p, q), (p + 1, q), ... which count equally often, except for the first.
struct Run {
  int64_t first, p, q, length;
  double weight_of_first, weight;
};

template <class T>
int64_t find_runs(const Pairs<T>& a, Run* runs) {
  int64_t found = 0;
  for (int64_t c = 0; c < a.size; c++) {
    Run* last = found ? runs + found - 1 : nullptr;
    const bool goes_on = last && a.j[c] == last->q && a.i[c] == last->p + last->length;
    if (goes_on && (last->length == 1 || a.weights[c] == last->weight)) {
      last->weight = a.weights[c];
      last->length++;
    } else {
      runs[found++] = {c, a.i[c], a.j[c], 1, a.weights[c], a.weights[c]};
    }
  }
  return found;
}

// Multiplied and added at once where it rounds an entry and its mirror image alike.
template <class T>
inline Vector<T> add_product(Vector<T> a, Vector<T> b, Vector<T> c) {
#pragma clang fp contract(fast)
  return a * b + c;
}

// `R` rows of one run from its row number `start` on. Weights are powers of 2: they commute with rounding.
template <class T, int R, bool SQUARE>
void of_rows(const Run* runs, int64_t count, int64_t size, int64_t width, const T* x, const T* y, T scale,
             const Run& rows, int64_t start, T* out) {
#pragma clang fp contract(off)  // so that the result is symmetric, bit for bit
  constexpr int N = lanes<T>;
  using V = Vector<T>;
  const int64_t i = rows.p + start;
  const T *xi = x + i * width, *yi = y + i * width, *xj = x + rows.q * width, *yj = y + rows.q * width;
  for (const Run* run = runs; run < runs + count; run++) {
    const int64_t p = run->p, q = run->q, c = run->first, length = run->length;
    V xiq[R], yiq[R], xjq[R], yjq[R];
    for (int r = 0; r < R; r++) {
      const T weight = T((r + start ? rows.weight : rows.weight_of_first) * run->weight / (SQUARE ? 1 : 2));
      xiq[r] = fill(weight * xi[r * width + q]), xjq[r] = fill(weight * xj[q]);
      if (!SQUARE) yiq[r] = fill(weight * yi[r * width + q]), yjq[r] = fill(weight * yj[q]);
    }
    for (int64_t k = 0; k < length; k += N) {
      const V xjp = load(xj + p + k), yjp = SQUARE ? xjp : load(yj + p + k);
      const int64_t left = size - c - k;
      for (int r = 0; r < R; r++) {
        const V xip = load(xi + r * width + p + k);
        V sum;
        if (SQUARE)
          sum = scale * add_product<T>(xip, xjq[r], xiq[r] * xjp);
        else
          sum = add_product<T>(xip, yjq[r], xjq[r] * load(yi + r * width + p + k)) + (xiq[r] * yjp + xjp * yiq[r]);
        T* to = out + r * size + c + k;
        if (left >= N)  // what goes beyond the run is written over by the next
          store(to, sum);
        else
          memcpy(to, &sum, left * sizeof(T));
      }
    }
    for (int r = 0; r < R; r++) out[r * size + c] *= T(run->weight_of_first / run->weight);
  }
}

// The rows of a run, some together; by way of `block` and past the caches, if there is one.
template <class T, bool SQUARE>
void of_run(const Run* runs, int64_t count, int64_t size, int64_t width, const T* x, const T* y, T scale,
            const Run& rows, T* out, T* block) {
  out += rows.first * size;
  for (int64_t start = 0, together; start < rows.length; start += together, out += together * size) {
    together = start + TOGETHER <= rows.length ? TOGETHER : 1;
    T* to = block ? block : out;
    if (together == TOGETHER)
      of_rows<T, TOGETHER, SQUARE>(runs, count, size, width, x, y, scale, rows, start, to);
    else
      of_rows<T, 1, SQUARE>(runs, count, size, width, x, y, scale, rows, start, to);
    if (block) stream(out, block, together * size);
  }
  if (block) flush_streams();
}

template <class T>
void pairs(const Pool& pool, const Pairs<T>& a) {
  constexpr int64_t N = lanes<T>;
  const int64_t m = a.m, size = a.size, width = m + N, factors = a.y ? 2 : 1;  // reads go a vector beyond a row's end
  const Room<T> padded(pool, factors * a.count * m * width);
  const Room<Run> runs(pool, size);
  if (!padded.at || !runs.at) return;
  for (int64_t item = 0; item < factors * a.count; item++)
    for (int64_t row = 0; row < m; row++) {
      const T* from = (item % factors ? a.y : a.x) + (item / factors * m + row) * m;
      T* to = padded.at + (item * m + row) * width;
      memcpy(to, from, m * sizeof(T));
      memset(to + m, 0, N * sizeof(T));
    }
  const int64_t found = find_runs(a, runs.at);
  const bool streams = size >= LONG && a.count * size * size * int64_t(sizeof(T)) >= STREAMED;
  parallel(pool, a.count * found, [=, &pool, &a, &padded, &runs](int64_t k) {
    const int64_t item = k / found;
    const T *x = padded.at + factors * item * m * width, *y = x + m * width;
    T* out = a.out + item * size * size;
    const Room<T> block(pool, streams ? TOGETHER * size : 0);
    if (streams && !block.at) return;
    if (a.y)
      of_run<T, false>(runs.at, found, size, width, x, y, 1, runs.at[k % found], out, block.at);
    else
      of_run<T, true>(runs.at, found, size, width, x, x, a.scale[item], runs.at[k % found], out, block.at);
  });
}

}  // namespace
}  // namespace gdiff
