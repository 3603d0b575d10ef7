// SPDX-License-Identifier: Apache-2.0
// Floats and their bits, denormals, multiply-adds, halves, roots. grucore/export/pieces.py says how this is read.

//! GC_COPY
#if defined(__GNUC__)
#define GC_COPY(to, from, bytes) (void)__builtin_memcpy(to, from, bytes)
#else
#include <string.h>
#define GC_COPY(to, from, bytes) (void)memcpy(to, from, bytes)
#endif

//! GC_ALIGN
#if defined(__GNUC__)
#define GC_ALIGN __attribute__((aligned(4)))
#else
#define GC_ALIGN
#endif

//! GC_STATIC
/* Not every function is called in each branch of what a machine may have. */
#if defined(__GNUC__)
#define GC_STATIC static __attribute__((unused))
#else
#define GC_STATIC static
#endif

//! GC_INLINE
#define GC_INLINE GC_STATIC inline

//! GC_ALWAYS
/* For what a compiler at -O2 would call, since it is called in many places. */
#if defined(__GNUC__)
#define GC_ALWAYS GC_INLINE __attribute__((always_inline))
#else
#define GC_ALWAYS GC_INLINE
#endif

//! gc_bits
GC_INLINE uint32_t gc_bits(float x) {
  uint32_t word;
  GC_COPY(&word, &x, sizeof word);
  return word;
}

//! gc_float
GC_INLINE float gc_float(uint32_t word) {
  float x;
  GC_COPY(&x, &word, sizeof x);
  return x;
}

//! gc_abs
GC_INLINE float gc_abs(float x) { return gc_float(gc_bits(x) & 0x7fffffffu); }

//! gc_flush
/* +0 for everything below 2^-126 in magnitude, -0 too; the rest as it is. */
GC_INLINE float gc_flush(float x) { return (gc_bits(x) & 0x7fffffffu) < 0x00800000u ? 0.0f : x; }

//! gc_flushed
GC_STATIC void gc_flushed(float* to, const float* from, uint32_t count) {
  do {
    *to++ = gc_flush(*from++);
  } while (--count);
}

//! gc_madd muladd
/* A product of float weights: rounded, then added. */
GC_INLINE float gc_madd(float a, float b, float c) { return a * b + c; }

//! gc_madd fused
/* A product of float weights: a * b + c, rounded once. The factors are never denormal. */
#if !defined(GC_EMULATE) && (defined(__FP_FAST_FMAF) || defined(__ARM_FEATURE_FMA) || defined(__FMA__) || \
                             defined(__aarch64__) || defined(__riscv_flen))
/* Where clang does not optimise, and in places of AArch32, it would call the C library's. */
#if defined(__clang__) && defined(__ARM_FEATURE_FMA) && !defined(__aarch64__)
GC_INLINE float gc_madd(float a, float b, float c) {
  __asm__("vfma.f32 %0, %1, %2" : "+t"(c) : "t"(a), "t"(b));
  return c;
}
#elif defined(__clang__) && !defined(__OPTIMIZE__) && defined(__aarch64__)
GC_INLINE float gc_madd(float a, float b, float c) {
  __asm__("fmadd %s0, %s1, %s2, %s0" : "+w"(c) : "w"(a), "w"(b));
  return c;
}
#elif defined(__clang__) && !defined(__OPTIMIZE__) && defined(__riscv_flen)
GC_INLINE float gc_madd(float a, float b, float c) {
  __asm__("fmadd.s %0, %1, %2, %0" : "+f"(c) : "f"(a), "f"(b));
  return c;
}
#else
GC_INLINE float gc_madd(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#endif
#elif GC_EMULATE + 0 != 2 && (defined(__SSE2_MATH__) || defined(__wasm__) || (defined(__ARM_FP) && (__ARM_FP & 8)))
/* The product is exact in double, and the sum there is rounded once before it is a float. Twice is as good as once, but
   where the first has come to lie halfway between two floats, or below the normal ones: there it is rounded to odd. */
GC_STATIC float gc_madd_odd(double product, double addend, double sum) {
  const double part = sum - product;
  const double rest = (product - (sum - part)) + (addend - part);
  uint64_t word;
  GC_COPY(&word, &sum, sizeof word);
  if ((rest > 0.0 || rest < 0.0) && !(word & 1u)) {
    word = ((rest > 0.0) == (sum > 0.0)) ? word + 1u : word - 1u;
    GC_COPY(&sum, &word, sizeof sum);
  }
  return (float)sum;
}
GC_INLINE float gc_madd(float a, float b, float c) {
  const double product = (double)a * (double)b;
  const double sum = product + (double)c;
  uint64_t word;
  GC_COPY(&word, &sum, sizeof word);
  if ((word & 0x1fffffffu) == 0x10000000u || (word << 1) < 0x7020000000000000u) {
    return gc_madd_odd(product, (double)c, sum);
  }
  return (float)sum;
}
#else
/* In integers, for machines without floats: both terms with their leading bit near the 61st, one of them moved
   to the exponent of the other, what falls out kept as a last bit. */
GC_STATIC float gc_madd(float a, float b, float c) {
  const uint32_t ua = gc_bits(a), ub = gc_bits(b), uc = gc_bits(c);
  const int32_t ea = (int32_t)(ua >> 23 & 255u), eb = (int32_t)(ub >> 23 & 255u);
  int32_t ec = (int32_t)(uc >> 23 & 255u), shift, exponent;
  uint32_t sign = (ua ^ ub) & 0x80000000u, mantissa, rest;
  uint64_t product, sum;
  if (ea == 255 || eb == 255) return a * b + c;
  if (ec == 255) return c + c;
  if (!ea || !eb) return a * b + c;
  product = (uint64_t)((ua & 0x007fffffu) | 0x00800000u) * ((ub & 0x007fffffu) | 0x00800000u) << 14;
  exponent = ea + eb - 150;
  sum = (uint64_t)(uc & 0x007fffffu) << 38;
  if (ec) {
    sum |= (uint64_t)1 << 61;
  } else {
    ec = 1;
  }
  shift = exponent - ec + 24;
  /* The same scale: product * 2^(exponent - 164) and sum * 2^(ec - 188). */
  if (shift >= 0) {
    if (shift > 62) {
      sum = sum != 0;
    } else {
      sum = sum >> shift | ((sum & (((uint64_t)1 << shift) - 1u)) != 0);
    }
  } else {
    exponent -= shift;
    shift = -shift;
    if (shift > 62) {
      product = 1;
    } else {
      product = product >> shift | ((product & (((uint64_t)1 << shift) - 1u)) != 0);
    }
  }
  if (sign == (uc & 0x80000000u)) {
    sum += product;
  } else if (product >= sum) {
    sum = product - sum;
    if (!sum) return 0.0f;
  } else {
    sum -= product;
    sign ^= 0x80000000u;
  }
  /* The leading bit to the 62nd place, then 24 bits of it, the others rounded to nearest even. */
  shift = __builtin_clzll(sum) - 1;
  sum <<= shift;
  exponent += 25 - shift;
  if (exponent >= 255) return gc_float(sign | 0x7f800000u);
  if (exponent < 1) {
    shift = 1 - exponent;
    exponent = 1;
    if (shift > 62) {
      sum = 1;
    } else {
      sum = sum >> shift | ((sum & (((uint64_t)1 << shift) - 1u)) != 0);
    }
  }
  mantissa = (uint32_t)(sum >> 39);
  rest = (uint32_t)(sum >> 7 & 0xffffffffu) | ((sum & 127u) != 0);
  mantissa += rest > 0x80000000u || (rest == 0x80000000u && (mantissa & 1u));
  return gc_float(sign | (((uint32_t)(exponent - 1) << 23) + mantissa));
}
#endif

//! gc_half
/* IEEE binary16, exactly; finite. */
GC_INLINE float gc_half(uint16_t half) {
  const uint32_t magnitude = (uint32_t)(half & 0x7fffu) << 13;
  const uint32_t is_small = magnitude < 0x00800000u;
  float x = gc_float(magnitude + (is_small ? 0x38800000u : 0x38000000u));
  if (is_small) x -= 0x1p-14f;
  return half & 0x8000u ? -x : x;
}

//! gc_sqrt
/* Rounded correctly: an instruction, or else digit by digit. */
#if defined(__SSE2_MATH__)
#include <emmintrin.h>
GC_INLINE float gc_sqrt(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }
#elif defined(__aarch64__)
GC_INLINE float gc_sqrt(float x) {
  __asm__("fsqrt %s0, %s1" : "=w"(x) : "w"(x));
  return x;
}
#elif defined(__ARM_FP) && (__ARM_FP & 4)
GC_INLINE float gc_sqrt(float x) {
  __asm__("vsqrt.f32 %0, %1" : "=t"(x) : "t"(x));
  return x;
}
#elif defined(__riscv_flen)
GC_INLINE float gc_sqrt(float x) {
  __asm__("fsqrt.s %0, %1" : "=f"(x) : "f"(x));
  return x;
}
#else
GC_STATIC float gc_sqrt(float x) {
  const uint32_t word = gc_bits(x);
  int32_t exponent = (int32_t)(word >> 23);
  uint32_t mantissa = word & 0x007fffffu;
  uint64_t rest, root = 0, digit;
  if ((word & 0x7fffffffu) == 0 || (word & 0x7fffffffu) > 0x7f800000u || word == 0x7f800000u) return x;
  if (word & 0x80000000u) return gc_float(0x7fc00000u);
  if (exponent == 0) {
    exponent = 1;
    for (; mantissa < 0x00800000u; mantissa += mantissa) --exponent;
  } else {
    mantissa |= 0x00800000u;
  }
  if ((exponent & 1) == 0) mantissa += mantissa;
  rest = (uint64_t)mantissa << 25;
  for (digit = (uint64_t)1 << 48; digit != 0; digit >>= 2) {
    const uint64_t trial = root + digit;
    root >>= 1;
    if (rest >= trial) {
      rest -= trial;
      root += digit;
    }
  }
  exponent = (exponent + 125 - ((exponent & 1) == 0 ? 1 : 0)) / 2;
  return gc_float(((uint32_t)exponent << 23) + (uint32_t)((root + 1) >> 1));
}
#endif
