// The inverse of a symmetric positive definite matrix, and the measures by which it is judged.
//
// By the symmetric sweep in place (Goodnight, A tutorial on the SWEEP operator, 1979), which works on one triangle:
//     for each k:  b = a_kk,  a_ij -= a_ik a_jk / b,  a_ik /= b,  a_kk = -1 / b,
// after which A is -S^-1, and the b were the pivots of S = M D M'. Many small matrices go side by side, one in each lane
// of a vector; one that is larger goes row by row; a large one is LAPACK's.
#pragma once

#include <math.h>
#include <string.h>

#include "congruence.h"
#include "kernels.h"
#include "vectors.h"

namespace gdiff {
namespace {

constexpr int SIDE_BY_SIDE = 12;  // dimensions up to which as many matrices as a vector has lanes go together
constexpr int UNROLLED = 6;       // ... with loops of a length that the compiler knows, and even if they are few
constexpr int SWEPT = 80;         // dimensions up to which a single matrix is swept; vectors of all widths divide it

template <class T>
inline T smallest() {  // the smallest normal number
  return sizeof(T) == 8 ? T(2.2250738585072014e-308) : T(1.17549435e-38);
}

// Numbers that lie `stride` apart, to the lanes of a vector and back; back, of the first `count` lanes.
template <class T>
inline Vector<T> gather(const T* from, int64_t stride) {
  Vector<T> v;
  for (int lane = 0; lane < lanes<T>; lane++) v[lane] = from[lane * stride];
  return v;
}

template <class T>
inline void scatter(T* to, int64_t stride, int64_t count, Vector<T> v) {
  if (count == lanes<T>)
    for (int lane = 0; lane < lanes<T>; lane++) to[lane * stride] = v[lane];
  else
    for (int lane = 0; lane < count; lane++) to[lane * stride] = v[lane];
}

// `count` events and the first one again, as many as a vector has lanes.
template <class T>
inline const T* repeated(const T* from, T* to, int64_t event, int64_t count) {
  for (int64_t lane = 0; lane < lanes<T>; lane++)
    memcpy(to + lane * event, from + (lane < count ? lane : 0) * event, event * sizeof(T));
  return to;
}

// `count` matrices, at most as many as a vector has lanes; D is d, or 0 where it is not known beforehand.
template <class T, int D>
void sweep_lanes(int64_t d_given, int64_t count, const Inverse<T>& a, int64_t first) {
  constexpr int N = lanes<T>, room = D ? D : SIDE_BY_SIDE;
  const int d = D ? D : int(d_given);
  using V = Vector<T>;
  V s[room * room], c[room];  // s: the matrices, entry by entry; from the sweep on its lower triangle only
  T spare[N * room * room];
  const T* from = a.s + first * d * d;
  if (count < N) from = repeated(from, spare, d * d, count);
  for (int e = 0; e < d * d; e++) s[e] = gather(from + e, d * d);

  V variances[room], not_finite = {}, asymmetry = {};
  Mask<T> apart = {};
  for (int i = 0; i < d; i++) {
    variances[i] = s[i * d + i];
    not_finite += variances[i] - variances[i];
    for (int j = 0; j < i; j++) {
      const V x = s[i * d + j], z = s[j * d + i];
      not_finite += x - z - (x - z);
      apart |= x != z;
    }
  }
  if (any<T>(apart))
    for (int i = 0; i < d; i++)
      for (int j = 0; j < i; j++) {
        const V x = s[i * d + j], z = s[j * d + i];
        V scale = __builtin_elementwise_sqrt(__builtin_elementwise_abs(variances[i]));
        scale *= __builtin_elementwise_sqrt(__builtin_elementwise_abs(variances[j]));
        scale = __builtin_elementwise_max(scale, __builtin_elementwise_abs(x));
        scale = __builtin_elementwise_max(scale, __builtin_elementwise_abs(z));
        const V ratio = x != z ? __builtin_elementwise_abs(x - z) / scale : V{};
        asymmetry = __builtin_elementwise_max(asymmetry, ratio);
        s[i * d + j] = x / 2 + z / 2;
      }
  asymmetry += not_finite;

  V log_det = {};
  Mask<T> definite = ~Mask<T>{};
  for (int k = 0; k < d; k++) {
    const V pivot = s[k * d + k], reciprocal = 1 / pivot;
    definite &= pivot >= smallest<T>();
    log_det += log<T>(pivot);
    for (int i = 0; i < d; i++) c[i] = i < k ? s[k * d + i] : s[i * d + k];
    for (int i = 0; i < d; i++) {
      if (i == k) continue;
      const V scaled = c[i] * reciprocal;
      for (int j = 0; j <= i; j++)
        if (j != k) s[i * d + j] -= scaled * c[j];
      (i < k ? s[k * d + i] : s[i * d + k]) = scaled;
    }
    s[k * d + k] = -reciprocal;
  }

  V inflation = fill<T>(1);
  for (int i = 0; i < d; i++) {
    const V factor = __builtin_elementwise_abs(variances[i] * s[i * d + i]);
    inflation = __builtin_elementwise_max(inflation, factor) + (factor - factor);
    for (int j = 0; j <= i; j++) s[i * d + j] = s[j * d + i] = -s[i * d + j];
  }
  const V nan = fill<T>(NAN);
  log_det = definite ? log_det : nan;
  inflation = definite ? inflation : nan;

  V ys[room];
  if (a.x) {
    T other[N * room];
    const T *x = a.x + first * d, *mean = a.mean + first * d;
    if (count < N) x = repeated(x, spare, d, count), mean = repeated(mean, other, d, count);
    for (int i = 0; i < d; i++) c[i] = gather(x + i, d) - gather(mean + i, d);
    V q = {};
    for (int i = 0; i < d; i++) {
      V y = s[i * d] * c[0];
      for (int j = 1; j < d; j++) y += s[i * d + j] * c[j];
      q += y * c[i];
      ys[i] = y;
      scatter(a.y + first * d + i, d, count, y);
    }
    scatter(a.q + first, 1, count, q);
  }
  if (a.score)
    for (int i = 0; i < d; i++)
      for (int j = 0; j <= i; j++) s[i * d + j] = s[j * d + i] = (ys[i] * ys[j] - s[i * d + j]) / 2;
  for (int e = 0; a.p && e < d * d; e++) scatter(a.p + first * d * d + e, d * d, count, s[e]);
  scatter(a.log_det + first, 1, count, log_det);
  scatter(a.inflation + first, 1, count, inflation);
  scatter(a.asymmetry + first, 1, count, asymmetry);
}

// Rows of the lower triangle of sym(S) into p, whose rows are `width` apart, and the asymmetry; a square of `side` entries
// at a time since one of two accesses goes down columns.
template <class T>
T symmetrise(int64_t d, const T* s, int64_t width, T* p, int64_t from, int64_t to) {
  constexpr int64_t side = 32;
  T worst = 0, not_finite = 0;
  for (int64_t i0 = from; i0 < to; i0 += side)
    for (int64_t j0 = 0; j0 <= i0; j0 += side)
      for (int64_t i = i0; i < i0 + side && i < to; i++) {
        bool apart = false;
        const int64_t end = j0 + side < i + 1 ? j0 + side : i + 1;
        for (int64_t j = j0; j < end; j++) {
          const T x = s[i * d + j], z = s[j * d + i];
          not_finite += x - z - (x - z);
          apart |= x != z;
          p[i * width + j] = x / 2 + z / 2;
        }
        for (int64_t j = j0; apart && j < end; j++) {
          const T x = s[i * d + j], z = s[j * d + i];
          const T deviations = sqrt(fabs(s[i * d + i])) * sqrt(fabs(s[j * d + j]));
          const T ratio = fabs(x - z) / fmax(deviations, fmax(fabs(x), fabs(z)));
          if (x != z && !(ratio <= worst)) worst = ratio;
        }
      }
  return worst + not_finite;
}

// The lower triangle of p, which is sym(S), to that of minus its inverse; false where there is none. Rows are `width`
// apart, which whole vectors fill: what stands above the diagonal is written over, and means nothing.
template <class T>
bool sweep(int64_t d, int64_t width, T* p, T* log_det) {
  constexpr int N = lanes<T>;
  T column[SWEPT] = {}, total = 0;
  for (int64_t k = 0; k < d; k++) {
    const T pivot = p[k * width + k], reciprocal = 1 / pivot;
    if (!(pivot >= smallest<T>())) return false;
    total += T(::log(double(pivot)));
    for (int64_t i = 0; i < k; i++) column[i] = p[k * width + i];
    for (int64_t i = k; i < d; i++) column[i] = p[i * width + k];
    column[k] = 0;
    for (int64_t i = 0; i < d; i++) {
      if (i == k) continue;
      const Vector<T> scaled = fill(column[i] * reciprocal);
      T* row = p + i * width;
      for (int64_t j = 0; j <= i; j += N) store(row + j, load(row + j) - scaled * load(column + j));
    }
    for (int64_t i = 0; i < k; i++) p[k * width + i] = column[i] * reciprocal;
    for (int64_t i = k + 1; i < d; i++) p[i * width + k] = column[i] * reciprocal;
    p[k * width + k] = -reciprocal;
  }
  *log_det = total;
  return true;
}

// The same of a large one, by LAPACK, whose upper triangle, column by column, is the lower one, row by row.
template <class T>
bool invert_by_lapack(int64_t d, T* p, T* log_det) {
  const int n = int(d);
  int info = 0;
  lapack<T>().potrf("U", &n, p, &n, &info);
  if (info) return false;
  T total = 0;
  for (int64_t i = 0; i < d; i++) total += T(2 * ::log(double(p[i * d + i])));
  *log_det = total;
  lapack<T>().potri("U", &n, p, &n, &info);
  return info == 0;
}

template <class T>
void measure(const Inverse<T>& a, int64_t item, const T* p, bool exists) {
  const int64_t d = a.d;
  const T* s = a.s + item * d * d;
  T inflation = 1, not_finite = 0;
  for (int64_t i = 0; i < d; i++) {
    const T factor = fabs(s[i * d + i] * p[i * d + i]);
    inflation = fmax(inflation, factor);
    not_finite += factor - factor;
  }
  a.inflation[item] = exists ? inflation + not_finite : T(NAN);
  if (!exists) a.log_det[item] = T(NAN);
  if (!a.x) return;
  const T *x = a.x + item * d, *mean = a.mean + item * d;
  T q = 0;
  for (int64_t i = 0; i < d; i++) {
    const T* row = p + i * d;
    Vector<T> sum = {};
    int64_t j = 0;
    for (; j + lanes<T> <= d; j += lanes<T>) sum += load(row + j) * (load(x + j) - load(mean + j));
    T total = 0;
    for (; j < d; j++) total += row[j] * (x[j] - mean[j]);
    for (int lane = 0; lane < lanes<T>; lane++) total += sum[lane];
    a.y[item * d + i] = total;
    q += total * (x[i] - mean[i]);
  }
  a.q[item] = q;
}

// P to (y y' - P) / 2, row by row.
template <class T>
void score(int64_t d, const T* y, T* p, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; i++)
    for (int64_t j = 0; j < d; j++) p[i * d + j] = (y[i] * y[j] - p[i * d + j]) / 2;
}

template <class T>
void score_of_statistics(const Pool& pool, const Inverse<T>& a, int64_t item, T* p) {
  const int64_t d = a.d;
  const Room<T> room(pool, 2 * d * d);
  if (!room.at) return;
  const T *c = a.scatter + item * d * d, *y = a.y + item * d, n = a.n[item];
  T *half = room.at, *q = half + d * d, trace = 0;
  multiply_three(d, p, c, half, q);
  for (int64_t i = 0; i < d; i++) trace += half[i * d + i];
  for (int64_t i = 0; i < d; i++)
    for (int64_t j = 0; j <= i; j++)
      p[i * d + j] = p[j * d + i] = (n * (y[i] * y[j] - p[i * d + j]) + q[i * d + j]) / 2;
  a.trace[item] = trace;
}

template <class T>
void invert_one(const Pool& pool, const Inverse<T>& a, int64_t item) {
  const int64_t d = a.d, width = rounded_up(d, lanes<T>);
  alignas(LINE) T swept[SWEPT * SWEPT], own[SWEPT * SWEPT];
  T* p = a.p ? a.p + item * d * d : own;
  a.asymmetry[item] = symmetrise(d, a.s + item * d * d, width, swept, 0, d);
  const bool exists = sweep(d, width, swept, a.log_det + item);
  for (int64_t i = 0; i < d; i++)
    for (int64_t j = 0; j <= i; j++) p[i * d + j] = p[j * d + i] = -swept[i * width + j];
  measure(a, item, p, exists);
  if (a.score && a.scatter)
    score_of_statistics(pool, a, item, p);
  else if (a.score)
    score(d, a.y + item * d, p, 0, d);
}

template <class T>
void invert_large(const Pool& pool, const Inverse<T>& a, int64_t item) {
  constexpr int64_t side = 64;
  const int64_t d = a.d, strips = (d + side - 1) / side;
  const Room<T> room(pool, strips + (a.p ? 0 : d * d));
  if (!room.at) return;
  const T* s = a.s + item * d * d;
  T *asymmetries = room.at, *p = a.p ? a.p + item * d * d : asymmetries + strips;
  parallel_pieces(pool, d, side, [=](int64_t from, int64_t to) {
    asymmetries[from / side] = symmetrise(d, s, d, p, from, to);
  });
  T worst = 0, not_finite = 0;
  for (int64_t k = 0; k < strips; k++) {
    worst = fmax(worst, asymmetries[k]);
    not_finite += asymmetries[k] - asymmetries[k];
  }
  a.asymmetry[item] = worst + not_finite;
  const bool exists = invert_by_lapack(d, p, a.log_det + item);
  parallel_pieces(pool, d, side, [=](int64_t from, int64_t to) { mirror(d, p, from, to); });
  measure(a, item, p, exists);
  if (a.score) {
    const T* y = a.y + item * d;
    parallel_pieces(pool, d, side, [=](int64_t from, int64_t to) { score(d, y, p, from, to); });
  }
}

template <class T>
void inverse(const Pool& pool, const Inverse<T>& a) {
  constexpr int64_t N = lanes<T>;
  const int64_t d = a.d;
  if (!a.scatter && (d <= UNROLLED || (d <= SIDE_BY_SIDE && a.count >= N))) {
    using Sweep = void (*)(int64_t, int64_t, const Inverse<T>&, int64_t);
    constexpr Sweep known[UNROLLED + 1] = {nullptr,           sweep_lanes<T, 1>, sweep_lanes<T, 2>, sweep_lanes<T, 3>,
                                           sweep_lanes<T, 4>, sweep_lanes<T, 5>, sweep_lanes<T, 6>};
    const Sweep by_lanes = d <= UNROLLED ? known[d] : sweep_lanes<T, 0>;
    const int64_t piece = N * (1 + 16384 / (N * d * d));
    parallel_pieces(pool, a.count, piece, [=, &a](int64_t begin, int64_t end) {
      for (int64_t first = begin; first < end; first += N)
        by_lanes(d, first + N < end ? N : end - first, a, first);
    });
  } else if (d <= SWEPT) {
    const int64_t piece = 1 + 65536 / (d * d * d);
    parallel_pieces(pool, a.count, piece, [=, &pool, &a](int64_t begin, int64_t end) {
      for (int64_t item = begin; item < end; item++) invert_one(pool, a, item);
    });
  } else {
    for (int64_t item = 0; item < a.count; item++) invert_large(pool, a, item);
  }
}

}  // namespace
}  // namespace gdiff
