// The mean and the scatter of a sample, in one reading of its rows.
//
// Rows and means are taken as steps from an origin among the rows, so that far from zero a mean is not rounded to the
// size of what is in the rows. A chunk of rows that fits into the cache gives its own mean, and its scatter about that,
// corrected for the rounding of the mean by the mean of the residuals (corrected two-pass). Chunks are merged in an order
// (Chan, Golub and LeVeque 1979) that does not depend on the number of threads.
#pragma once

#include <string.h>

#include "kernels.h"
#include "vectors.h"

namespace gdiff {
namespace {

constexpr int64_t CHUNK = 128 * 1024;  // bytes of rows that are centred about one mean
constexpr int TILE = 4;                // rows of a tile of the scatter that is kept in registers; it has 3 vectors each
constexpr int64_t PIECES = 64;         // of a sample, at most, that threads work on and that are merged last; a piece
                                       // has d rows at least, which are then no smaller than its scatter
constexpr int CENTRED = 32;            // rows that are centred, and meet the scatter, together

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

// scatter += z z', of a tile's rows i and `V` vectors of columns from j on, for `rows` centred rows z of `width`, which
// are added up on their own: many small numbers would be lost one by one in a large sum.
template <class T, int V>
inline void add_tile(int64_t i, int64_t j, int64_t rows, int64_t width, const T* z, T* scatter) {
  constexpr int N = lanes<T>;
  Vector<T> sum[TILE][V] = {};
  for (int64_t row = 0; row < rows; row++) {
    const T* from = z + row * width;
    Vector<T> right[V];
    for (int v = 0; v < V; v++) right[v] = load(from + j + v * N);
    for (int a = 0; a < TILE; a++)
      for (int v = 0; v < V; v++) sum[a][v] += fill(from[i + a]) * right[v];
  }
  for (int a = 0; a < TILE; a++)
    for (int v = 0; v < V; v++) {
      T* to = scatter + (i + a) * width + j + v * N;
      store(to, load(to) + sum[a][v]);
    }
}

// A sample's rows, d numbers each; `last` is where the array of them ends. `origin`, like all arrays of the sample, has
// `width` numbers, which tiles divide, 0 from d on.
template <class T>
struct Sample {
  int64_t n, d, width;
  const T *rows, *last, *origin;

  // A vector of a row's step from the origin.
  Vector<T> step(int64_t i, int64_t j) const { return load_row(rows + i * d, j, d, last) - load(origin + j); }
};

// Rows of a chunk, and of the chunks of a piece.
template <class T>
int64_t chunk_of(int64_t d) {
  const int64_t fits = CHUNK / int64_t(sizeof(T)) / d;
  return fits > 4 * CENTRED ? fits : 4 * CENTRED;
}

template <class T>
int64_t piece_of(int64_t n, int64_t d) {
  const int64_t equal = (n + PIECES - 1) / PIECES;
  return rounded_up(equal > d ? equal : d, chunk_of<T>(d));
}

// The median of the first, the middle and the last row, column by column: none of them has to be like the rest.
template <class T>
void find_origin(const Sample<T>& sample, T* origin) {
  const int64_t d = sample.d;
  const T *a = sample.rows, *b = a + sample.n / 2 * d, *c = a + (sample.n - 1) * d;
  memset(origin, 0, sample.width * sizeof(T));
  for (int64_t j = 0; j < d; j++) {
    const T low = a[j] < b[j] ? a[j] : b[j], high = a[j] < b[j] ? b[j] : a[j];
    origin[j] = c[j] < low ? low : c[j] > high ? high : c[j];
  }
}

// The mean as a step from the origin, and the lower triangle (and more) of the scatter: one array of both.
template <class T>
struct Part {
  T *mean, *scatter;

  Part(T* room, int64_t width) : mean(room), scatter(room + width) {}
  static int64_t size(int64_t width) { return width + width * width; }
};

// to += from, which then is 0.
template <class T>
inline void move_to(T* to, T* from, int64_t width) {
  for (int64_t j = 0; j < width; j += lanes<T>) store(to + j, load(to + j) + load(from + j));
  memset(from, 0, width * sizeof(T));
}

// Of the `n` rows from `begin` on; `room` is for CENTRED + 2 rows. Sums are those of CENTRED rows, and sums of those.
template <class T>
void of_chunk(const Sample<T>& sample, int64_t begin, int64_t n, T* room, const Part<T>& to) {
  constexpr int N = lanes<T>;
  const int64_t d = sample.d, width = sample.width;
  T *z = room, *residual = room + CENTRED * width, *some = residual + width, *mean = to.mean, *scatter = to.scatter;
  memset(mean, 0, width * sizeof(T));
  memset(residual, 0, 2 * width * sizeof(T));
  memset(scatter, 0, width * width * sizeof(T));
  for (int64_t first = 0; first < n; first += CENTRED) {
    const int64_t count = first + CENTRED < n ? CENTRED : n - first;
    for (int64_t row = first; row < first + count; row++)
      for (int64_t j = 0; j < width; j += N) store(some + j, load(some + j) + sample.step(begin + row, j));
    move_to(mean, some, width);
  }
  for (int64_t j = 0; j < d; j++) mean[j] /= n;
  for (int64_t first = 0; first < n; first += CENTRED) {
    const int64_t count = first + CENTRED < n ? CENTRED : n - first;
    for (int64_t row = 0; row < count; row++)
      for (int64_t j = 0; j < width; j += N) {
        const Vector<T> centred = sample.step(begin + first + row, j) - load(mean + j);
        store(z + row * width + j, centred);
        store(some + j, load(some + j) + centred);
      }
    move_to(residual, some, width);
    for (int64_t i = 0; i < d; i += TILE)
      for (int64_t j = 0; j < i + TILE; j += 3 * N) {
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

// The part of n_a rows and that of n_b together, in place of the former; `step` is room for one row.
template <class T>
void merge(const Sample<T>& sample, T n_a, const Part<T>& a, T n_b, const Part<T>& b, T* step) {
  const T fraction = n_b / (n_a + n_b);
  for (int64_t i = 0; i < sample.d; i++) {
    step[i] = b.mean[i] - a.mean[i];
    a.mean[i] += fraction * step[i];
    const T between = n_a * fraction * step[i];
    for (int64_t j = 0, at = i * sample.width; j <= i; j++, at++) a.scatter[at] += b.scatter[at] + between * step[j];
  }
}

// Of the rows from `begin` to `end`, one chunk after the other; `room` is for a part and CENTRED + 2 rows.
template <class T>
void of_piece(const Sample<T>& sample, int64_t begin, int64_t end, T* room, const Part<T>& to) {
  const int64_t width = sample.width, chunk = chunk_of<T>(sample.d);
  const Part<T> next(room, width);
  room += Part<T>::size(width);
  for (int64_t first = begin; first < end; first += chunk) {
    const int64_t count = first + chunk < end ? chunk : end - first;
    of_chunk(sample, first, count, room, first == begin ? to : next);
    if (first > begin) merge(sample, T(first - begin), to, T(count), next, room);
  }
}

// The mean, and the whole of the scatter.
template <class T>
void write(const Sample<T>& sample, const Part<T>& from, T* mean, T* scatter) {
  const int64_t d = sample.d;
  for (int64_t i = 0; i < d; i++) {
    mean[i] = sample.origin[i] + from.mean[i];
    for (int64_t j = 0; j <= i; j++) scatter[i * d + j] = scatter[j * d + i] = from.scatter[i * sample.width + j];
  }
}

template <class T>
void moments(const Pool& pool, const Moments<T>& a) {
  constexpr int64_t N = lanes<T>, tiled = N > TILE ? N : TILE;
  const int64_t n = a.n, d = a.d, width = rounded_up(d, tiled), part = Part<T>::size(width);
  const auto sample = [=, &a](int64_t item, T* origin) {
    const Sample<T> sample = {n, d, width, a.rows + item * n * d, a.rows + a.count * n * d, origin};
    find_origin(sample, origin);
    return sample;
  };
  const int64_t piece = piece_of<T>(n, d), pieces = (n + piece - 1) / piece, spare = part + (CENTRED + 2) * width;
  if (pieces == 1) {  // a thread takes so many samples that they are worth its waking
    const int64_t together = 1 + CHUNK / int64_t(sizeof(T)) / (n * d);
    parallel_pieces(pool, a.count, together, [=, &pool, &a](int64_t begin, int64_t end) {
      const Room<T> room(pool, width + part + spare);
      for (int64_t item = begin; room.at && item < end; item++) {
        const Sample<T> all = sample(item, room.at);
        const Part<T> whole(room.at + width, width);
        of_piece(all, 0, n, room.at + width + part, whole);
        write(all, whole, a.mean + item * d, a.scatter + item * d * d);
      }
    });
    return;
  }
  const Room<T> room(pool, 2 * width + pieces * part);
  T *origin = room.at, *step = origin + width, *parts = step + width;
  for (int64_t item = 0; room.at && item < a.count; item++) {
    const Sample<T> all = sample(item, origin);
    parallel_pieces(pool, n, piece, [=, &pool, &all](int64_t begin, int64_t end) {
      const Room<T> own(pool, spare);
      if (own.at) of_piece(all, begin, end, own.at, Part<T>(parts + begin / piece * part, width));
    });
    const Part<T> whole(parts, width);
    for (int64_t k = 1; k < pieces; k++) {
      const T count = T((k + 1) * piece < n ? piece : n - k * piece);
      merge(all, T(k * piece), whole, count, Part<T>(parts + k * part, width), step);
    }
    write(all, whole, a.mean + item * d, a.scatter + item * d * d);
  }
}

}  // namespace
}  // namespace gdiff
