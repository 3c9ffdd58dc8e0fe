// What XLA calls: buffers to arguments of the kernels, of the best instruction set that the processor has.

#include "kernels.h"

#ifdef __linux__
#include <sys/mman.h>
#endif
#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace gdiff {

int cores = 1;
static Lapack<double> lapack_f64;
static Lapack<float> lapack_f32;
template <>
const Lapack<double>& lapack() {
  return lapack_f64;
}
template <>
const Lapack<float>& lapack() {
  return lapack_f32;
}

extern const Kernels kernels_base;
#ifdef __x86_64__
extern const Kernels kernels_v3, kernels_v4;  // AVX2 with FMA; AVX-512
static const Kernels* const all[] = {&kernels_base, &kernels_v3, &kernels_v4};

// The best that the processor has, and of which the system saves the registers.
static int best() {
  unsigned a, b, c, d, low, high;
  const unsigned saves = 1u << 27, avx = 1u << 28, fma = 1u << 12, f16c = 1u << 29, movbe = 1u << 22;
  const unsigned first = saves | avx | fma | f16c | movbe;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & first) != first) return 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & 0x06) != 0x06 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
  const unsigned avx2 = 1u << 5 | 1u << 3 | 1u << 8;                              // and BMI1, BMI2
  const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;  // F, DQ, CD, BW, VL
  if ((b & avx2) != avx2) return 0;
  return (low & 0xe6) == 0xe6 && (b & avx512) == avx512 ? 2 : 1;
}
#else
static const Kernels* const all[] = {&kernels_base};
static int best() { return 0; }
#endif

static int level = best();

template <class T>
const Table<T>& table();
template <>
const Table<double>& table() {
  return all[level]->f64;
}
template <>
const Table<float>& table() {
  return all[level]->f32;
}

// Arguments and results of a call. Each of the targets knows how many it has: the primitives of gdiff/native make them.
struct Call {
  XLA_FFI_CallFrame* frame;
  bool* exhausted;

  const XLA_FFI_Buffer& argument(int k) const { return *static_cast<XLA_FFI_Buffer*>(frame->args.args[k]); }
  template <class T>
  T* in(int k) const {
    return static_cast<T*>(argument(k).data);
  }
  template <class T>
  T* out(int k) const {
    return static_cast<T*>(static_cast<XLA_FFI_Buffer*>(frame->rets.rets[k])->data);
  }
  // The size of an axis from the last, and how many events of so many axes there are.
  int64_t size(int k, int from_last) const { return argument(k).dims[argument(k).rank - from_last]; }
  int64_t count(int k, int event) const {
    int64_t product = 1;
    for (int64_t axis = 0; axis < argument(k).rank - event; axis++) product *= argument(k).dims[axis];
    return product;
  }
  Pool pool() const { return {frame->api, frame->ctx, exhausted}; }
};

// True where XLA only asks which interface the handler is made for: the one it has, for what is used was there always.
static bool is_question(XLA_FFI_CallFrame* frame) {
  const XLA_FFI_Extension_Base* extension = frame->extension_start;
  if (!extension || extension->type != XLA_FFI_Extension_Metadata) return false;
  XLA_FFI_Metadata* metadata = reinterpret_cast<const XLA_FFI_Metadata_Extension*>(extension)->metadata;
  metadata->api_version = frame->api->api_version;
  return true;
}

// `k` is the number of the first result after the matrix, if that is one.
template <class T>
Inverse<T> inverse_of(const Call& c, int k) {
  Inverse<T> a = {};
  a.count = c.count(0, 2), a.d = c.size(0, 1), a.s = c.in<T>(0);
  a.p = k ? c.out<T>(0) : nullptr;
  a.log_det = c.out<T>(k), a.inflation = c.out<T>(k + 1), a.asymmetry = c.out<T>(k + 2);
  return a;
}

template <class T>
Inverse<T> forms_of(const Call& c, int k) {
  Inverse<T> a = inverse_of<T>(c, k);
  a.x = c.in<T>(1), a.mean = c.in<T>(2), a.y = c.out<T>(k + 3), a.q = c.out<T>(k + 4);
  return a;
}

template <class T>
void run_inverse(const Call& c) {
  table<T>().inverse(c.pool(), inverse_of<T>(c, 1));
}

template <class T>
void run_forms(const Call& c) {
  table<T>().inverse(c.pool(), forms_of<T>(c, 1));
}

template <class T>
void run_forms_alone(const Call& c) {
  table<T>().inverse(c.pool(), forms_of<T>(c, 0));
}

template <class T>
void run_score(const Call& c) {
  Inverse<T> a = forms_of<T>(c, 1);
  a.score = true;
  table<T>().inverse(c.pool(), a);
}

template <class T>
void run_score_of_statistics(const Call& c) {
  Inverse<T> a = forms_of<T>(c, 1);
  a.score = true, a.n = c.in<T>(3), a.scatter = c.in<T>(4), a.trace = c.out<T>(6);
  table<T>().inverse(c.pool(), a);
}

template <class T>
void run_congruence(const Call& c) {
  table<T>().congruence(c.pool(), {c.count(0, 2), c.size(0, 1), c.in<T>(0), c.in<T>(1), c.out<T>(0)});
}

template <class T>
void run_moments(const Call& c) {
  table<T>().moments(c.pool(), {c.count(0, 2), c.size(0, 2), c.size(0, 1), c.in<T>(0), c.out<T>(0), c.out<T>(1)});
}

template <class T>
Pairs<T> pairs_of(const Call& c) {
  return {c.count(0, 2), c.size(0, 1), c.size(2, 1), c.in<T>(0), nullptr, nullptr, c.in<T>(2), c.in<int32_t>(3),
          c.in<int32_t>(4), c.out<T>(0)};
}

template <class T>
void run_pairs(const Call& c) {
  Pairs<T> a = pairs_of<T>(c);
  a.y = c.in<T>(1);
  table<T>().pairs(c.pool(), a);
}

template <class T>
void run_square_pairs(const Call& c) {
  Pairs<T> a = pairs_of<T>(c);
  a.scale = c.in<T>(1);
  table<T>().pairs(c.pool(), a);
}

using Run = void (*)(const Call&);

// Large results are asked for in large pages, as NumPy does: memory that is fresh from the system comes page by page as it
// is written, which for pages of 4 KiB takes several times as long as the writing.
static void prefer_large_pages(XLA_FFI_CallFrame* frame) {
#ifdef __linux__
  constexpr uintptr_t large = 4 << 20, page = 4096;
  for (int64_t k = 0; k < frame->rets.size; k++) {
    const XLA_FFI_Buffer& buffer = *static_cast<XLA_FFI_Buffer*>(frame->rets.rets[k]);
    uintptr_t bytes = buffer.dtype == XLA_FFI_DataType_F64 ? 8 : 4;
    for (int64_t axis = 0; axis < buffer.rank; axis++) bytes *= buffer.dims[axis];
    const uintptr_t start = (reinterpret_cast<uintptr_t>(buffer.data) + page - 1) / page * page;
    if (bytes >= large) madvise(reinterpret_cast<void*>(start), bytes - page, MADV_HUGEPAGE);
  }
#else
  (void)frame;
#endif
}

static XLA_FFI_Error* out_of_memory(XLA_FFI_CallFrame* frame) {
  XLA_FFI_Error_Create_Args args = {};
  args.struct_size = XLA_FFI_Error_Create_Args_STRUCT_SIZE;
  args.message = "gdiff: out of memory for what a kernel works in.";
  args.errc = XLA_FFI_Error_Code_RESOURCE_EXHAUSTED;
  return frame->api->XLA_FFI_Error_Create(&args);
}

static XLA_FFI_Error* handle(XLA_FFI_CallFrame* frame, Run of_doubles, Run of_singles) {
  if (is_question(frame)) return nullptr;
  prefer_large_pages(frame);
  bool exhausted = false;
  const Call call = {frame, &exhausted};
  (call.argument(0).dtype == XLA_FFI_DataType_F64 ? of_doubles : of_singles)(call);
  return exhausted ? out_of_memory(frame) : nullptr;
}

}  // namespace gdiff

#ifdef _WIN32
#define GDIFF_EXPORT extern "C" __declspec(dllexport)
#else
#define GDIFF_EXPORT extern "C" __attribute__((visibility("default")))
#endif

#define GDIFF_TARGET(name)                                                            \
  GDIFF_EXPORT XLA_FFI_Error* gdiff_##name(XLA_FFI_CallFrame* frame) {                \
    return gdiff::handle(frame, gdiff::run_##name<double>, gdiff::run_##name<float>); \
  }

GDIFF_TARGET(inverse)
GDIFF_TARGET(forms)
GDIFF_TARGET(forms_alone)
GDIFF_TARGET(score)
GDIFF_TARGET(score_of_statistics)
GDIFF_TARGET(congruence)
GDIFF_TARGET(moments)
GDIFF_TARGET(pairs)
GDIFF_TARGET(square_pairs)

GDIFF_EXPORT void gdiff_begin(int threads, void* dpotrf, void* dpotri, void* spotrf, void* spotri) {
  using namespace gdiff;
  cores = threads;
  lapack_f64 = {reinterpret_cast<decltype(lapack_f64.potrf)>(dpotrf),
                reinterpret_cast<decltype(lapack_f64.potri)>(dpotri)};
  lapack_f32 = {reinterpret_cast<decltype(lapack_f32.potrf)>(spotrf),
                reinterpret_cast<decltype(lapack_f32.potri)>(spotri)};
}

// From here on instruction sets up to this one, of those that the processor has: 0 the architecture's own, 1 AVX2, 2
// AVX-512. Returns the one that is chosen.
GDIFF_EXPORT int gdiff_use(int level) {
  gdiff::level = level < gdiff::best() ? level : gdiff::best();
  return gdiff::level;
}
