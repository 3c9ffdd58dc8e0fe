// A loop over independent pieces of work, on XLA's threads and on the one that asks; and room to work in.
//
// A thread that asks takes pieces itself until none is left, and then waits only for pieces that other threads have
// already begun. So it never waits for a thread that has yet to come free, which is how two batched LAPACK calls of
// jaxlib 0.10 wait for each other for ever on two cores.
#pragma once

#include <stdint.h>
#include <stdlib.h>

#ifdef _WIN32
extern "C" __declspec(dllimport) int __stdcall SwitchToThread(void);
#else
#include <sched.h>
#endif

#include "xla/ffi/api/c_api.h"

namespace gdiff {

extern int cores;  // how many threads can run at once

struct Pool {
  const XLA_FFI_Api* api;
  XLA_FFI_ExecutionContext* context;
  bool* exhausted;  // set when there was no memory to work in
};

namespace {

// Memory to work in; null if none is asked for, and if there is none: then the call fails.
template <class T>
struct Room {
  T* const at;

  Room(const Pool& pool, int64_t count) : at(count ? static_cast<T*>(malloc(count * sizeof(T))) : nullptr) {
    if (count && !at) __atomic_store_n(pool.exhausted, true, __ATOMIC_RELAXED);
  }
  ~Room() { free(at); }
  Room(const Room&) = delete;
};

struct Work {
  int64_t next, done, owners, count;
  void (*piece)(const void* what, int64_t i);
  const void* what;  // on the stack of the thread that asks: not touched once all pieces are taken
};

inline void take_pieces(Work* work) {
  for (;;) {
    const int64_t i = __atomic_fetch_add(&work->next, 1, __ATOMIC_RELAXED);
    if (i >= work->count) return;
    work->piece(work->what, i);
    __atomic_fetch_add(&work->done, 1, __ATOMIC_RELEASE);
  }
}

inline void disown(Work* work) {
  if (__atomic_sub_fetch(&work->owners, 1, __ATOMIC_ACQ_REL) == 0) free(work);
}

inline void help(void* work) {
  take_pieces(static_cast<Work*>(work));
  disown(static_cast<Work*>(work));
}

inline bool schedule(const Pool& pool, Work* work) {
  XLA_FFI_ThreadPool_Schedule_Args args = {};
  args.struct_size = XLA_FFI_ThreadPool_Schedule_Args_STRUCT_SIZE;
  args.ctx = pool.context;
  args.task = help;
  args.data = work;
  XLA_FFI_Error* error = pool.api->XLA_FFI_ThreadPool_Schedule(&args);
  if (!error) return true;
  XLA_FFI_Error_Destroy_Args destroy = {};
  destroy.struct_size = XLA_FFI_Error_Destroy_Args_STRUCT_SIZE;
  destroy.error = error;
  pool.api->XLA_FFI_Error_Destroy(&destroy);
  return false;
}

inline void yield() {
#ifdef _WIN32
  SwitchToThread();
#else
  sched_yield();
#endif
}

// what(i) for i = 0 ... count - 1, in any order.
template <class What>
void parallel(const Pool& pool, int64_t count, const What& what) {
  const int64_t helpers = (count < cores ? count : cores) - 1;
  Work* work = helpers > 0 ? static_cast<Work*>(malloc(sizeof(Work))) : nullptr;
  if (!work) {
    for (int64_t i = 0; i < count; i++) what(i);
    return;
  }
  const auto piece = [](const void* what, int64_t i) { (*static_cast<const What*>(what))(i); };
  *work = {0, 0, helpers + 1, count, piece, &what};
  for (int64_t k = 0; k < helpers; k++)
    if (!schedule(pool, work)) disown(work);
  take_pieces(work);
  while (__atomic_load_n(&work->done, __ATOMIC_ACQUIRE) < count) yield();
  disown(work);
}

// what(begin, end) for the items 0 ... count - 1, `piece` of them at a time.
template <class What>
void parallel_pieces(const Pool& pool, int64_t count, int64_t piece, const What& what) {
  parallel(pool, (count + piece - 1) / piece, [=, &what](int64_t k) {
    const int64_t begin = k * piece, end = begin + piece;
    what(begin, end < count ? end : count);
  });
}

}  // namespace
}  // namespace gdiff
