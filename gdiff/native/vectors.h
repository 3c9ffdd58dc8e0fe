// Vectors of one register's width, which GDIFF_WIDTH gives in bytes, and what is done to all of their lanes at once.
//
// Everything that a kernel is made of stands in an unnamed namespace: it is compiled once for each instruction set, and
// the linker must not take one for another.
#pragma once

#include <stdint.h>

namespace gdiff {
namespace {

template <class T>
struct Bits;
template <>
struct Bits<double> {
  using type = int64_t;
  static constexpr int mantissa = 52, terms = 9;  // terms of the series in `log`
};
template <>
struct Bits<float> {
  using type = int32_t;
  static constexpr int mantissa = 23, terms = 4;
};

constexpr uintptr_t LINE = 64;  // bytes of memory that come and go together

inline int64_t rounded_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

template <class T>
constexpr int lanes = GDIFF_WIDTH / sizeof(T);

template <class T>
using Vector = T __attribute__((vector_size(GDIFF_WIDTH)));

template <class T>
using Mask = typename Bits<T>::type __attribute__((vector_size(GDIFF_WIDTH)));

template <class T>
inline Vector<T> load(const T* from) {
  Vector<T> v;
  __builtin_memcpy(&v, from, sizeof(v));
  return v;
}

template <class T>
inline void store(T* to, Vector<T> v) {
  __builtin_memcpy(to, &v, sizeof(v));
}

// Copies past the caches, to memory that will have left them before it is read: a line that is written whole need not
// be fetched first. Before another thread reads, `flush_streams`.
template <class T>
inline void stream(T* to, const T* from, int64_t count) {
  constexpr int64_t whole = LINE / sizeof(T);
  int64_t k = 0;
  for (; k < count && reinterpret_cast<uintptr_t>(to + k) % LINE; k++) to[k] = from[k];
  for (; k + whole <= count; k += whole)
    for (int64_t lane = 0; lane < whole; lane += lanes<T>)
      __builtin_nontemporal_store(load(from + k + lane), reinterpret_cast<Vector<T>*>(to + k + lane));
  for (; k < count; k++) to[k] = from[k];
}

inline void flush_streams() {
#ifdef __x86_64__
  __builtin_ia32_sfence();
#endif
}

template <class T>
inline Vector<T> fill(T x) {
  return Vector<T>{} + x;
}

template <class T>
inline bool any(Mask<T> m) {
  return __builtin_reduce_or(m) != 0;
}

// log x of positive normal numbers. x = 2^e m, m between sqrt(1/2) and sqrt(2), and log m = 2 artanh t,
// t = (m - 1) / (m + 1), by its series: t^2 < 0.0295, so that the first term left out is below half an ulp.
template <class T>
inline Vector<T> log(Vector<T> x) {
  using B = Bits<T>;
  const auto bits = __builtin_bit_cast(Mask<T>, x);
  const T half = T(0.70710678118654752440);
  const auto below = __builtin_bit_cast(Mask<T>, fill<T>(half));
  Mask<T> e = (bits - below) >> B::mantissa;  // the exponent of x / sqrt(1/2), rounded down
  const auto m = __builtin_bit_cast(Vector<T>, bits - (e << B::mantissa));
  const Vector<T> t = (m - 1) / (m + 1), t2 = t * t;
  Vector<T> series = fill<T>(T(1) / (2 * B::terms + 1));
  for (int k = B::terms - 1; k > 0; k--) series = series * t2 + T(1) / (2 * k + 1);
  const Vector<T> log_m = 2 * t + 2 * t * t2 * series;
  return log_m + __builtin_convertvector(e, Vector<T>) * T(0.69314718055994530942);
}

}  // namespace
}  // namespace gdiff
