// The Vec API in plain C++: one lane, for every machine; the contract of each operation.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file. GRUCORE_FUSED says whether mul_add rounds once (1) or twice (0).
// The includer has <stdint.h> and kernels/tables/target_region.h.

#include "kernels/vec/half.h"
#include "kernels/vec/square_root.h"

namespace grucore::detail::GRUCORE_ISA {
namespace {

// More lanes would be loops, which a compiler that looks at size leaves in memory: ten times the instructions.
constexpr int kLanes = 1;
constexpr bool kFused = GRUCORE_FUSED != 0;

struct F32 {
  float v;
};
struct I32 {
  int32_t v;
};
struct Mask {
  bool v;
};

template <class To, class From>
GRUCORE_INLINE To bit_cast(const From& from) {
  static_assert(sizeof(To) == sizeof(From), "size");
#if defined(_MSC_VER) && !defined(__clang__)
  return __builtin_bit_cast(To, from);
#else
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
#endif
}

GRUCORE_INLINE F32 broadcast(float x) { return {x}; }
GRUCORE_INLINE F32 zero() { return broadcast(0.0f); }
GRUCORE_INLINE I32 broadcast_i32(int32_t x) { return {x}; }

// Any alignment of a float is enough.
GRUCORE_INLINE F32 load(const float* p) { return {*p}; }
GRUCORE_INLINE void store(float* p, F32 a) { *p = a.v; }

// n in 0..kLanes: touches n floats and no more; the lanes above are +0.
GRUCORE_INLINE F32 load_n(const float* p, int n) { return n ? load(p) : zero(); }
GRUCORE_INLINE void store_n(float* p, F32 a, int n) {
  if (n) store(p, a);
}
// The floats of kLanes finite IEEE halves, exactly; and of n of them.
GRUCORE_INLINE F32 load_half(const uint16_t* p) { return {half_to_float(*p)}; }
GRUCORE_INLINE F32 load_half_n(const uint16_t* p, int n) { return n ? load_half(p) : zero(); }
// The same with N in 1..kLanes known to the compiler; a multiple of 4 is fast everywhere.
template <int N>
GRUCORE_INLINE F32 load_lanes(const float* p) {
  static_assert(N >= 1 && N <= kLanes, "lanes");
  return load_n(p, N);
}
template <int N>
GRUCORE_INLINE void store_lanes(float* p, F32 a) {
  static_assert(N >= 1 && N <= kLanes, "lanes");
  store_n(p, a, N);
}

// Clang joins neighbouring operations of floats to vectors, which on 32-bit Arm make denormals zero.
#if defined(__clang__) && defined(__arm__) && defined(__ARM_NEON)
GRUCORE_INLINE float alone(float x) {
  __asm__("" : "+t"(x));
  return x;
}
#else
GRUCORE_INLINE float alone(float x) { return x; }
#endif

// Each one IEEE operation, rounded to nearest even.
GRUCORE_INLINE F32 add(F32 a, F32 b) { return {alone(a.v + b.v)}; }
GRUCORE_INLINE F32 sub(F32 a, F32 b) { return {alone(a.v - b.v)}; }
GRUCORE_INLINE F32 mul(F32 a, F32 b) { return {alone(a.v * b.v)}; }
GRUCORE_INLINE F32 div(F32 a, F32 b) { return {a.v / b.v}; }
GRUCORE_INLINE F32 sqrt(F32 a) { return {square_root(a.v)}; }

// a*b + c rounded once. Without hardware: the product is exact in double, the sum is rounded to odd there, so that
// rounding it again to float is exact (rounding the sum to nearest first would be wrong about once in 4e8 triples).
GRUCORE_INLINE float fused_mul_add(float a, float b, float c) {
#if defined(__FP_FAST_FMAF) || defined(__ARM_FEATURE_FMA)
  return __builtin_fmaf(a, b, c);
#else
  const double product = static_cast<double>(a) * static_cast<double>(b);
  const double addend = static_cast<double>(c);
  double sum = product + addend;
  const double virtual_addend = sum - product;
  const double rest = (product - (sum - virtual_addend)) + (addend - virtual_addend);
  const uint64_t pattern = bit_cast<uint64_t>(sum);
  const bool finite = (pattern & 0x7ff0000000000000u) != 0x7ff0000000000000u;
  // An even sum that is not exact: its odd neighbour towards the exact value.
  if (finite && rest != 0.0 && (pattern & 1u) == 0) {
    const bool away_from_zero = (rest > 0.0) == (sum > 0.0);
    sum = bit_cast<double>(away_from_zero ? pattern + 1 : pattern - 1);
  }
  return static_cast<float>(sum);
#endif
}

// The product class of float weights: fused where kFused, else a multiplication, then an addition.
GRUCORE_INLINE F32 mul_add(F32 a, F32 b, F32 c) {
#if GRUCORE_FUSED
  return {alone(fused_mul_add(a.v, b.v, c.v))};
#else
  return add(mul(a, b), c);
#endif
}
// a*b + c and a*b - c where a*b is exact, so that fused or not they have the same bits: in whichever way is faster.
// Small cores take longer for the two together.
#if GRUCORE_HAS_FMA && !defined(GRUCORE_ONLY_SCALAR)
GRUCORE_INLINE F32 exact_mul_add(F32 a, F32 b, F32 c) { return {alone(__builtin_fmaf(a.v, b.v, c.v))}; }
GRUCORE_INLINE F32 exact_mul_sub(F32 a, F32 b, F32 c) { return {alone(__builtin_fmaf(a.v, b.v, -c.v))}; }
#else
GRUCORE_INLINE F32 exact_mul_add(F32 a, F32 b, F32 c) { return add(mul(a, b), c); }
GRUCORE_INLINE F32 exact_mul_sub(F32 a, F32 b, F32 c) { return sub(mul(a, b), c); }
#endif

// b whenever the comparison is false: for NaN on either side, and for two zeros. min(limit, x) keeps a NaN in x.
GRUCORE_INLINE F32 max(F32 a, F32 b) { return {a.v > b.v ? a.v : b.v}; }
GRUCORE_INLINE F32 min(F32 a, F32 b) { return {a.v < b.v ? a.v : b.v}; }

// False for NaN.
GRUCORE_INLINE Mask lt(F32 a, F32 b) { return {a.v < b.v}; }
GRUCORE_INLINE Mask gt(F32 a, F32 b) { return {a.v > b.v}; }
GRUCORE_INLINE Mask eq(F32 a, F32 b) { return {a.v == b.v}; }
GRUCORE_INLINE Mask is_nan(F32 a) { return {a.v != a.v}; }

GRUCORE_INLINE Mask mask_and(Mask a, Mask b) { return {a.v && b.v}; }
GRUCORE_INLINE Mask mask_or(Mask a, Mask b) { return {a.v || b.v}; }
GRUCORE_INLINE bool any(Mask a) { return a.v; }
GRUCORE_INLINE F32 select(Mask m, F32 if_true, F32 if_false) { return {m.v ? if_true.v : if_false.v}; }
// +0 where m holds, else a: cheaper than select.
GRUCORE_INLINE F32 zero_if(Mask m, F32 a) { return {m.v ? 0.0f : a.v}; }

GRUCORE_INLINE I32 bits(F32 a) { return bit_cast<I32>(a); }
GRUCORE_INLINE F32 from_bits(I32 a) { return bit_cast<F32>(a); }

// Integers wrap; shift_right is logical.
GRUCORE_INLINE int32_t as_signed(uint32_t x) { return bit_cast<int32_t>(x); }
GRUCORE_INLINE uint32_t as_unsigned(int32_t x) { return static_cast<uint32_t>(x); }
GRUCORE_INLINE I32 add(I32 a, I32 b) { return {as_signed(as_unsigned(a.v) + as_unsigned(b.v))}; }
GRUCORE_INLINE I32 sub(I32 a, I32 b) { return {as_signed(as_unsigned(a.v) - as_unsigned(b.v))}; }
GRUCORE_INLINE I32 bit_and(I32 a, I32 b) { return {a.v & b.v}; }
GRUCORE_INLINE I32 bit_or(I32 a, I32 b) { return {a.v | b.v}; }
GRUCORE_INLINE I32 bit_xor(I32 a, I32 b) { return {a.v ^ b.v}; }
template <int N>
GRUCORE_INLINE I32 shift_left(I32 a) {
  return {as_signed(as_unsigned(a.v) << N)};
}
template <int N>
GRUCORE_INLINE I32 shift_right(I32 a) {
  return {as_signed(as_unsigned(a.v) >> N)};
}

// On the sign bit alone, for NaN too.
GRUCORE_INLINE F32 neg(F32 a) { return from_bits(bit_xor(bits(a), broadcast_i32(INT32_MIN))); }
GRUCORE_INLINE F32 abs(F32 a) { return from_bits(bit_and(bits(a), broadcast_i32(INT32_MAX))); }

// NaN or an infinity.
GRUCORE_INLINE Mask is_nonfinite(F32 a) {
  const I32 magnitude = bits(abs(a));
  return {magnitude.v >= 0x7f800000};
}

// +0 for everything below 2^-126 in magnitude, -0 included; the rest, NaN and infinities too, as it is.
GRUCORE_INLINE F32 flush_denormals(F32 a) {
  const I32 magnitude = bits(abs(a));
  return {magnitude.v < 0x00800000 ? 0.0f : a.v};
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
