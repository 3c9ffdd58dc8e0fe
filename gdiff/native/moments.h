// The mean and the scatter of a sample, in one reading of its rows.
//
// A chunk of rows that fits into the cache gives its own mean, and its scatter about that; chunks are merged in an order
// (Chan, Golub and LeVeque 1979) that does not depend on the number of threads. The rounding of a chunk's mean is corrected for
// by the mean of its residuals (corrected two-pass).
#pragma once

#include <string.h>

#include "kernels.h"
#include "vectors.h"

namespace gdiff {
namespace {

constexpr int64_t CHUNK = 128 * 1024;  // bytes of rows that are centred about one mean
constexpr int TILE = 4;                // rows of a tile of the scatter that is kept in registers; it has 3 vectors each
constexpr int64_t PIECES = 64;           // parts of a sample that are merged last
constexpr int CENTRED = 32;            // rows that are centred, and meet the scatter, together

inline int64_t rounded_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

// A vector of a row from its entry j on, 0 from its end on; `last` is where the array ends.
template <class T>
inline Vector<T> load_row(const T* row, int64_t j, int64_t d, const T* last) {
  constexpr int N = lanes<T>;
  const T* from = row + j;
  Vector<T> v = {};
  if (j + N <= d) return load(from);
  if (j >= d) return v;
  if (from + N > last) {
    memcpy(&v, from, (d - j) * sizeof(T));
    return v;
  }
  Mask<T> index;
  for (int lane = 0; lane < N; lane++) index[lane] = lane;
  return index < typename Bits<T>::type(d - j) ? load(from) : v;
}

// scatter += z z', of a tile's rows i and `V` vectors of columns from j on, for `rows` centred rows z of `width`.
template <class T, int V>
inline void add_tile(int64_t i, int64_t j, int64_t rows, int64_t width, const T* z, T* scatter) {
  constexpr int N = lanes<T>;
  Vector<T> sum[TILE][V];
  for (int a = 0; a < TILE; a++)
    for (int v = 0; v < V; v++) sum[a][v] = load(scatter + (i + a) * width + j + v * N);
  for (int64_t row = 0; row < rows; row++) {
    const T* from = z + row * width;
    Vector<T> right[V];
    for (int v = 0; v < V; v++) right[v] = load(from + j + v * N);
    for (int a = 0; a < TILE; a++)
      for (int v = 0; v < V; v++) sum[a][v] += fill(from[i + a]) * right[v];
  }
  for (int a = 0; a < TILE; a++)
    for (int v = 0; v < V; v++) store(scatter + (i + a) * width + j + v * N, sum[a][v]);
}

// The mean, and the lower triangle (and more) of the scatter, of n rows; arrays of `width`, which tiles divide.
template <class T>
void of_chunk(int64_t n, int64_t d, int64_t width, const T* rows, const T* last, T* room, T* mean, T* scatter) {
  constexpr int N = lanes<T>;
  T *z = room, *residual = room + CENTRED * width;
  memset(mean, 0, width * sizeof(T));
  memset(residual, 0, width * sizeof(T));
  memset(scatter, 0, width * width * sizeof(T));
  for (int64_t row = 0; row < n; row++)
    for (int64_t j = 0; j < width; j += N) store(mean + j, load(mean + j) + load_row(rows + row * d, j, d, last));
  for (int64_t j = 0; j < d; j++) mean[j] /= n;
  for (int64_t first = 0; first < n; first += CENTRED) {
    const int64_t count = first + CENTRED < n ? CENTRED : n - first;
    for (int64_t row = 0; row < count; row++)
      for (int64_t j = 0; j < width; j += N) {
        const T* from = rows + (first + row) * d;
        Vector<T> centred = load_row(from, j, d, last) - load(mean + j);
        store(z + row * width + j, centred);
        store(residual + j, load(residual + j) + centred);
      }
    for (int64_t i = 0; i < d; i += TILE)
      for (int64_t j = 0; j < i + TILE && j < width; j += 3 * N) {
        const int64_t vectors = (rounded_up(i + TILE, N) - j) / N;
        if (vectors >= 3) add_tile<T, 3>(i, j, count, width, z, scatter);
        if (vectors == 2) add_tile<T, 2>(i, j, count, width, z, scatter);
        if (vectors == 1) add_tile<T, 1>(i, j, count, width, z, scatter);
      }
  }
  for (int64_t i = 0; i < d; i++) {
    residual[i] /= n;
    for (int64_t j = 0; j <= i; j++) scatter[i * width + j] -= n * residual[i] * residual[j];
  }
  for (int64_t i = 0; i < d; i++) mean[i] += residual[i];
}

// The mean and the scatter of (n_a, mean_a, scatter_a) and (n_b, ...) together, in place of the former.
template <class T>
void merge(int64_t d, T n_a, int64_t width_a, T* mean_a, T* scatter_a, T n_b, int64_t width_b, const T* mean_b,
           const T* scatter_b, T* step) {
  const T fraction = n_b / (n_a + n_b);
  for (int64_t i = 0; i < d; i++) {
    step[i] = mean_b[i] - mean_a[i];
    mean_a[i] += fraction * step[i];
    const T between = n_a * fraction * step[i];
    T* to = scatter_a + i * width_a;
    const T* from = scatter_b + i * width_b;
    for (int64_t j = 0; j <= i; j++) to[j] += from[j] + between * step[j];
  }
}

template <class T>
void moments(const Pool& pool, const Moments<T>& a) {
  constexpr int64_t N = lanes<T>, tiled = N > TILE ? N : TILE;
  const int64_t n = a.n, d = a.d, width = rounded_up(d, tiled);
  int64_t chunk = CHUNK / int64_t(sizeof(T)) / d;
  if (chunk < 4 * CENTRED) chunk = 4 * CENTRED;
  int64_t piece = (n + PIECES - 1) / PIECES;  // rows that one thread merges, one chunk after the other
  piece = rounded_up(piece, chunk);
  const int64_t pieces = (n + piece - 1) / piece;
  const int64_t part = width + width * width, room = part + (CENTRED + 1) * width;
  T* parts = static_cast<T*>(malloc(pieces * (part + room) * sizeof(T)));
  for (int64_t item = 0; item < a.count; item++) {
    const T *rows = a.rows + item * n * d, *last = a.rows + a.count * n * d;
    parallel(pool, pieces, [=](int64_t k) {
      T *mean = parts + k * (part + room), *scatter = mean + width, *other = mean + part, *spare = other + part;
      const int64_t begin = k * piece, end = begin + piece < n ? begin + piece : n;
      for (int64_t first = begin; first < end; first += chunk) {
        const int64_t count = first + chunk < end ? chunk : end - first;
        T* here = first == begin ? mean : other;
        of_chunk(count, d, width, rows + first * d, last, spare, here, here + width);
        if (first == begin) continue;
        merge(d, T(first - begin), width, mean, scatter, T(count), width, other, other + width, spare);
      }
    });
    T *mean = a.mean + item * d, *scatter = a.scatter + item * d * d;
    memcpy(mean, parts, d * sizeof(T));
    for (int64_t i = 0; i < d; i++) memcpy(scatter + i * d, parts + width + i * width, d * sizeof(T));
    for (int64_t k = 1; k < pieces; k++) {
      const T *from = parts + k * (part + room), count = T((k + 1) * piece < n ? piece : n - k * piece);
      merge(d, T(k * piece), d, mean, scatter, count, width, from, from + width, parts + part);
    }
    for (int64_t i = 0; i < d; i++)
      for (int64_t j = 0; j < i; j++) scatter[j * d + i] = scatter[i * d + j];
  }
  free(parts);
}

}  // namespace
}  // namespace gdiff
