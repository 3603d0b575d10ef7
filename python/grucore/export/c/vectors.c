// SPDX-License-Identifier: Apache-2.0
// Four floats at a time, where a machine has vectors: arithmetic and choices as compilers of GNU's C know them.

//! GC_MVE
/* Helium: vectors of 128 bits in a Cortex-M. It makes denormal floats zero. 1: whole numbers, 3: floats too. */
#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>
#define GC_MVE __ARM_FEATURE_MVE
#else
#define GC_MVE 0
#endif

//! GC_VECTORS
#if defined(__GNUC__) && (defined(__SSE2__) || defined(__aarch64__) || defined(__wasm_simd128__) || (GC_MVE & 2))
#define GC_VECTORS 1
typedef float gc_v __attribute__((vector_size(16)));
typedef uint32_t gc_w __attribute__((vector_size(16)));
typedef int32_t gc_n __attribute__((vector_size(16)));
GC_INLINE gc_v gc_v_load(const float *from) {
  gc_v x;
  GC_COPY(&x, from, sizeof x);
  return x;
}
GC_INLINE void gc_v_store(float *to, gc_v x) { GC_COPY(to, &x, sizeof x); }
GC_INLINE gc_v gc_v_all(float x) {
  const gc_v all = {x, x, x, x};
  return all;
}
GC_INLINE gc_w gc_w_all(uint32_t x) {
  const gc_w all = {x, x, x, x};
  return all;
}
GC_INLINE gc_v gc_v_abs(gc_v x) { return (gc_v)((gc_w)x & gc_w_all(0x7fffffffu)); }
#if GC_MVE & 2
/* Comparisons, conversions and quotients by the instructions' own names: compilers take them lane by lane. */
GC_INLINE gc_v gc_v_if_less(gc_v a, gc_v b, gc_v yes, gc_v no) {
  return (gc_v)vpselq_f32((float32x4_t)yes, (float32x4_t)no, vcmpltq_f32((float32x4_t)a, (float32x4_t)b));
}
GC_INLINE gc_v gc_v_flush(gc_v x) {
  return (gc_v)vpselq_f32(vdupq_n_f32(0.0f), (float32x4_t)x, vcmpltq_n_s32((int32x4_t)gc_v_abs(x), 0x00800000));
}
GC_INLINE gc_v gc_v_floats(const int32_t *from) { return (gc_v)vcvtq_f32_s32(vld1q_s32(from)); }
GC_INLINE gc_v gc_v_over(gc_v a, gc_v b) {
  register gc_v x __asm__("q0") = a;
  register gc_v y __asm__("q1") = b;
  __asm__(
      "vdiv.f32 s0, s0, s4\n"
      "vdiv.f32 s1, s1, s5\n"
      "vdiv.f32 s2, s2, s6\n"
      "vdiv.f32 s3, s3, s7"
      : "+w"(x)
      : "w"(y));
  return x;
}
#else
GC_INLINE gc_v gc_v_select(gc_w mask, gc_v a, gc_v b) { return (gc_v)((mask & (gc_w)a) | (~mask & (gc_w)b)); }
GC_INLINE gc_v gc_v_if_less(gc_v a, gc_v b, gc_v yes, gc_v no) { return gc_v_select((gc_w)(a < b), yes, no); }
GC_INLINE gc_v gc_v_flush(gc_v x) {
  return gc_v_select((gc_w)((gc_n)gc_v_abs(x) < (gc_n)gc_w_all(0x00800000u)), gc_v_all(0.0f), x);
}
GC_INLINE gc_v gc_v_floats(const int32_t *from) {
  const gc_v x = {(float)from[0], (float)from[1], (float)from[2], (float)from[3]};
  return x;
}
GC_INLINE gc_v gc_v_over(gc_v a, gc_v b) { return a / b; }
#endif
#else
#define GC_VECTORS 0
#endif

//! GC_VECTOR_MADD muladd
#define GC_VECTOR_MADD GC_VECTORS
#if GC_VECTORS
GC_INLINE gc_v gc_v_madd(gc_v sum, gc_v w, float x) { return sum + w * gc_v_all(x); }
#endif

//! GC_VECTOR_MADD fused
#if defined(GC_EMULATE)
#define GC_VECTOR_MADD 0
#elif GC_MVE & 2
#define GC_VECTOR_MADD 1
GC_INLINE gc_v gc_v_madd(gc_v sum, gc_v w, float x) { return (gc_v)vfmaq_n_f32((float32x4_t)sum, (float32x4_t)w, x); }
#elif GC_VECTORS && defined(__aarch64__)
#include <arm_neon.h>
#define GC_VECTOR_MADD 1
GC_INLINE gc_v gc_v_madd(gc_v sum, gc_v w, float x) { return (gc_v)vfmaq_n_f32((float32x4_t)sum, (float32x4_t)w, x); }
#elif GC_VECTORS && defined(__FMA__)
#include <immintrin.h>
#define GC_VECTOR_MADD 1
GC_INLINE gc_v gc_v_madd(gc_v sum, gc_v w, float x) {
  return (gc_v)_mm_fmadd_ps((__m128)w, _mm_set1_ps(x), (__m128)sum);
}
#else
#define GC_VECTOR_MADD 0
#endif
