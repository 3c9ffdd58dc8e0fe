// What the kernels compute, of which there is a table for each instruction set. Arrays are dense and row by row.
#pragma once

#include "pool.h"

namespace gdiff {

// P = sym(S)^-1 and what validity is judged by, for `count` matrices (d, d); with an x, the products that a density is
// made of, r = x - mean; and with `score`, in place of P, the derivative of the log-density in S.
//
// log_det      log|S|
// inflation    max_i S_ii P_ii, at least 1; NaN where a pivot is not positive, or P overflows
// asymmetry    max |S_ij - S_ji| / max(sqrt(|S_ii S_jj|), |S_ij|, |S_ji|); NaN where an entry is not finite
// y, q         P r and r'P r
// score        (y y' - P) / 2, or (n (y y' - P) + P C P) / 2 of n observations with mean x and scatter C
// trace        tr(P C)
template <class T>
struct Inverse {
  int64_t count, d;
  const T *s, *x, *mean, *n, *scatter;  // from x on they may be null
  T *p, *log_det, *inflation, *asymmetry, *y, *q, *trace;  // p may be null
  bool score;
};

// The mean (d) and the scatter (d, d) about it of `count` samples of n rows (n, d).
template <class T>
struct Moments {
  int64_t count, n, d;
  const T* rows;
  T *mean, *scatter;
};

// w_r w_c / 2 (X_ip Y_jq + X_jq Y_ip + X_iq Y_jp + X_jp Y_iq), (i, j) of row r and (p, q) of column c, for `count`
// pairs of symmetric matrices (m, m): the entries of X⊗Y + Y⊗X in coordinates that each are a pair of indices.
// Without a Y, scale w_r w_c (X_ip X_jq + X_iq X_jp): those of a multiple of X⊗X.
template <class T>
struct Pairs {
  int64_t count, m, size;
  const T *x, *y, *scale, *weights;  // weights are powers of 2
  const int32_t *i, *j;
  T* out;
};

// A B A of `count` pairs of symmetric matrices (d, d).
template <class T>
struct Congruence {
  int64_t count, d;
  const T *a, *b;
  T* out;
};

template <class T>
struct Table {
  void (*inverse)(const Pool&, const Inverse<T>&);
  void (*moments)(const Pool&, const Moments<T>&);
  void (*pairs)(const Pool&, const Pairs<T>&);
  void (*congruence)(const Pool&, const Congruence<T>&);
};

struct Kernels {
  Table<double> f64;
  Table<float> f32;
};

// LAPACK's Cholesky factorisation and inverse from it, as SciPy has them.
template <class T>
struct Lapack {
  void (*potrf)(const char* uplo, const int* n, T* a, const int* lda, int* info);
  void (*potri)(const char* uplo, const int* n, T* a, const int* lda, int* info);
};

template <class T>
const Lapack<T>& lapack();
template <>
const Lapack<double>& lapack();
template <>
const Lapack<float>& lapack();

}  // namespace gdiff
