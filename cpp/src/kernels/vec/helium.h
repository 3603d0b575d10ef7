// Helium, the vectors of Cortex-M55 and M85, in the plain table of firmware: four floats at a time.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, after vec_scalar.h.
//
// Its floats make denormals zero, and FPSCR tells that they did. Where they did not, results are those of plain C++;
// where they did, plain C++ works them out again.

#include <arm_mve.h>

namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr uint32_t kDenormalFlags = 1u << 7 | 1u << 3;  // an input, a result

// Before vectors are loaded.
GRUCORE_INLINE void forget_denormals() {
  uint32_t status;
  __asm__ volatile(
      "vmrs %0, fpscr\n"
      "bic %0, %0, %1\n"
      "vmsr fpscr, %0"
      : "=&r"(status)
      : "I"(kDenormalFlags)
      : "memory");
}
struct F32x4 {
  float32x4_t v;
};
struct I32x4 {
  int32x4_t v;
};
// The same number in all lanes: most instructions take it from a core register.
struct Float {
  float v;
  GRUCORE_INLINE operator F32x4() const { return {vdupq_n_f32(v)}; }
};
// Comparisons, made where their result is used: gcc keeps no mask in its register for long.
struct Less {
  F32x4 a, b;
};
struct LessFloat {
  F32x4 a;
  Float b;
};
struct MoreFloat {
  F32x4 a;
  Float b;
};
// After the last operation that `result` comes from: true if a denormal was made zero since.
GRUCORE_INLINE bool met_denormals(F32x4 result) {
  uint32_t status;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(status) : "w"(result.v) : "memory");
  return (status & kDenormalFlags) != 0;
}

// Of results beside the one that met_denormals takes.
GRUCORE_INLINE void wait_for(F32x4) {}

GRUCORE_INLINE F32x4 load_four_floats(const float* p) { return {vld1q_f32(p)}; }
GRUCORE_INLINE F32x4 load_four_weights(const float* p) { return load_four_floats(p); }
template <class Weight>
constexpr bool kHasFourWeights = sizeof(Weight) == sizeof(float);
constexpr int kWideFours = 6;  // vectors of weights at once
GRUCORE_INLINE void store_four_floats(float* p, F32x4 a) { vst1q_f32(p, a.v); }

// The operations of vec_scalar.h that cells take.
GRUCORE_INLINE Float like(const F32x4&, float x) { return {x}; }
GRUCORE_INLINE I32x4 like(const I32x4&, int32_t x) { return {vdupq_n_s32(x)}; }
GRUCORE_INLINE F32x4 add(const F32x4& a, const F32x4& b) { return {vaddq_f32(a.v, b.v)}; }
GRUCORE_INLINE F32x4 add(const F32x4& a, Float b) { return {vaddq_n_f32(a.v, b.v)}; }
GRUCORE_INLINE F32x4 sub(const F32x4& a, const F32x4& b) { return {vsubq_f32(a.v, b.v)}; }
GRUCORE_INLINE F32x4 sub(const F32x4& a, Float b) { return {vsubq_n_f32(a.v, b.v)}; }
GRUCORE_INLINE F32x4 mul(const F32x4& a, const F32x4& b) { return {vmulq_f32(a.v, b.v)}; }
GRUCORE_INLINE F32x4 mul(const F32x4& a, Float b) { return {vmulq_n_f32(a.v, b.v)}; }
GRUCORE_INLINE F32x4 mul(Float a, const F32x4& b) { return mul(b, a); }
GRUCORE_INLINE F32x4 mul_add(const F32x4& a, Float b, const F32x4& c) { return {vfmaq_n_f32(c.v, a.v, b.v)}; }
GRUCORE_INLINE F32x4 exact_mul_add(const F32x4& a, const F32x4& b, const F32x4& c) {
  return {vfmaq_f32(c.v, a.v, b.v)};
}
GRUCORE_INLINE F32x4 exact_mul_sub(const F32x4& a, Float b, const F32x4& c) { return sub(mul(a, b), c); }
// Quotients have no vector form.
GRUCORE_INLINE F32x4 div(const F32x4& a, const F32x4& b) {
  register float32x4_t x __asm__("q0") = a.v;
  register float32x4_t y __asm__("q1") = b.v;
  __asm__(
      "vdiv.f32 s0, s0, s4\n"
      "vdiv.f32 s1, s1, s5\n"
      "vdiv.f32 s2, s2, s6\n"
      "vdiv.f32 s3, s3, s7"
      : "+w"(x)
      : "w"(y));
  return {x};
}

#if defined(__clang__)
GRUCORE_INLINE F32x4 select(const Less& m, const F32x4& a, const F32x4& b) {
  return {vpselq_f32(a.v, b.v, vcmpltq_f32(m.a.v, m.b.v))};
}
GRUCORE_INLINE F32x4 select(const LessFloat& m, const F32x4& a, const F32x4& b) {
  return {vpselq_f32(a.v, b.v, vcmpltq_n_f32(m.a.v, m.b.v))};
}
GRUCORE_INLINE F32x4 select(const MoreFloat& m, const F32x4& a, const F32x4& b) {
  return {vpselq_f32(a.v, b.v, vcmpgtq_n_f32(m.a.v, m.b.v))};
}
GRUCORE_INLINE F32x4 zero_if_less(const I32x4& magnitude, int32_t limit, const F32x4& a) {
  return {vpselq_f32(vdupq_n_f32(0.0f), a.v, vcmpltq_n_s32(magnitude.v, limit))};
}
#else
#define GRUCORE_SELECT(compare, kind, left, right, if_true, if_false) \
  F32x4 result;                                                       \
  __asm__(compare "\nvpsel %q0, %q3, %q4"                             \
          : "=w"(result.v)                                            \
          : "w"(left), kind(right), "w"(if_true), "w"(if_false)       \
          : "p0");                                                    \
  return result
GRUCORE_INLINE F32x4 select(const Less& m, const F32x4& a, const F32x4& b) {
  GRUCORE_SELECT("vcmp.f32 lt, %q1, %q2", "w", m.a.v, m.b.v, a.v, b.v);
}
GRUCORE_INLINE F32x4 select(const LessFloat& m, const F32x4& a, const F32x4& b) {
  GRUCORE_SELECT("vcmp.f32 lt, %q1, %2", "r", m.a.v, bit_cast<int32_t>(m.b.v), a.v, b.v);
}
GRUCORE_INLINE F32x4 select(const MoreFloat& m, const F32x4& a, const F32x4& b) {
  GRUCORE_SELECT("vcmp.f32 gt, %q1, %2", "r", m.a.v, bit_cast<int32_t>(m.b.v), a.v, b.v);
}
GRUCORE_INLINE F32x4 zero_if_less(const I32x4& magnitude, int32_t limit, const F32x4& a) {
  GRUCORE_SELECT("vcmp.s32 lt, %q1, %2", "r", magnitude.v, limit, vdupq_n_f32(0.0f), a.v);
}
#undef GRUCORE_SELECT
#endif
GRUCORE_INLINE Less lt(const F32x4& a, const F32x4& b) { return {a, b}; }
GRUCORE_INLINE LessFloat lt(const F32x4& a, Float b) { return {a, b}; }
GRUCORE_INLINE MoreFloat gt(const F32x4& a, Float b) { return {a, b}; }
template <class M>
GRUCORE_INLINE F32x4 zero_if(const M& m, const F32x4& a) {
  return select(m, Float{0.0f}, a);
}
// max(0.5, x) and min(20, x): x where it is not a number.
GRUCORE_INLINE F32x4 max(Float a, const F32x4& b) { return select(LessFloat{b, a}, a, b); }
GRUCORE_INLINE F32x4 min(Float a, const F32x4& b) { return select(MoreFloat{b, a}, a, b); }
GRUCORE_INLINE I32x4 bits(const F32x4& a) { return {vreinterpretq_s32_f32(a.v)}; }
GRUCORE_INLINE F32x4 from_bits(const I32x4& a) { return {vreinterpretq_f32_s32(a.v)}; }
GRUCORE_INLINE I32x4 bit_and(const I32x4& a, const I32x4& b) { return {vandq_s32(a.v, b.v)}; }
GRUCORE_INLINE I32x4 bit_or(const I32x4& a, const I32x4& b) { return {vorrq_s32(a.v, b.v)}; }
template <int N>
GRUCORE_INLINE I32x4 shift_left(const I32x4& a) {
  return {vshlq_n_s32(a.v, N)};
}
template <int N>
GRUCORE_INLINE I32x4 shift_right_signed(const I32x4& a) {
  return {vshrq_n_s32(a.v, N)};
}
GRUCORE_INLINE F32x4 abs(const F32x4& a) { return {vabsq_f32(a.v)}; }
GRUCORE_INLINE F32x4 flush_denormals(const F32x4& a) { return zero_if_less(bits(abs(a)), 0x00800000, a); }

// What quantization takes.
GRUCORE_INLINE bool takes_bytes(const PackedWeights& weights) { return weights.kind == WeightKind::kInt8; }
constexpr bool kFillsEights = false;
GRUCORE_INLINE F32x4 load_some_floats(const float* p, uint32_t count) { return {vldrwq_z_f32(p, vctp32q(count))}; }
GRUCORE_INLINE I32x4 sub(const I32x4& a, const I32x4& b) { return {vsubq_s32(a.v, b.v)}; }
GRUCORE_INLINE void store_low_bytes(int8_t* p, const I32x4& a) { vstrbq_s32(p, a.v); }
// The largest magnitude so far. As integers they have the same order.
using Most = int32_t;
GRUCORE_INLINE Most no_most() { return 0; }
GRUCORE_INLINE Most larger(Most most, const F32x4& x) { return vmaxvq_s32(most, bits(abs(x)).v); }
GRUCORE_INLINE int32_t most_of(Most most) { return most; }

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
