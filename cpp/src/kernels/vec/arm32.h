// NEON of 32-bit Arm with fused multiply-adds, in a plain table: four floats at a time.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, after vec_scalar.h.
//
// Its floats make denormals zero, as those of Helium (helium.h), and FPSCR tells that they did. Where they did not,
// results are those of plain C++; where they did, plain C++ works them out again.

#include <arm_neon.h>

namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr uint32_t kDenormalFlags = 1u << 7 | 1u << 3;  // an input, a result

struct F32x4 {
  float32x4_t v;
};
struct I32x4 {
  int32x4_t v;
};
struct Mask4 {
  uint32x4_t v;
};
// The same number in all lanes.
struct Float {
  float v;
  GRUCORE_INLINE operator F32x4() const { return {vdupq_n_f32(v)}; }
};

GRUCORE_INLINE uint32_t float_status() {
  uint32_t status;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(status) : : "memory");
  return status;
}
// Before vectors are loaded. Writing FPSCR waits for all that is under way, so that it is left alone where it can be.
GRUCORE_INLINE void forget_denormals() {
  const uint32_t status = float_status();
  if (status & kDenormalFlags) __asm__ volatile("vmsr fpscr, %0" : : "r"(status & ~kDenormalFlags) : "memory");
}
// After the last operations that results come from: true if a denormal was made zero since.
GRUCORE_INLINE void wait_for(F32x4 result) { __asm__ volatile("" : : "w"(result.v)); }
GRUCORE_INLINE bool met_denormals(F32x4 result) {
  wait_for(result);
  return (float_status() & kDenormalFlags) != 0;
}

GRUCORE_INLINE F32x4 load_four_floats(const float* p) { return {vld1q_f32(p)}; }
GRUCORE_INLINE void store_four_floats(float* p, F32x4 a) { vst1q_f32(p, a.v); }
GRUCORE_INLINE F32x4 load_four_weights(const float* p) { return load_four_floats(p); }
// Halves that are denormal are none as floats. The instruction, since gcc has its name with a type of halves alone.
GRUCORE_INLINE F32x4 load_four_weights(const uint16_t* p) {
  const uint16x4_t halves = vld1_u16(p);
  F32x4 floats;
  __asm__("vcvt.f32.f16 %q0, %P1" : "=w"(floats.v) : "w"(halves));
  return floats;
}
template <class Weight>
constexpr bool kHasFourWeights = true;
constexpr int kWideFours = 12;  // vectors of weights at once

// The operations of vec_scalar.h that cells take.
GRUCORE_INLINE Float like(const F32x4&, float x) { return {x}; }
GRUCORE_INLINE I32x4 like(const I32x4&, int32_t x) { return {vdupq_n_s32(x)}; }
GRUCORE_INLINE F32x4 add(const F32x4& a, const F32x4& b) { return {vaddq_f32(a.v, b.v)}; }
GRUCORE_INLINE F32x4 sub(const F32x4& a, const F32x4& b) { return {vsubq_f32(a.v, b.v)}; }
GRUCORE_INLINE F32x4 mul(const F32x4& a, const F32x4& b) { return {vmulq_f32(a.v, b.v)}; }
GRUCORE_INLINE F32x4 mul_add(const F32x4& a, const F32x4& b, const F32x4& c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
GRUCORE_INLINE F32x4 exact_mul_add(const F32x4& a, const F32x4& b, const F32x4& c) { return mul_add(a, b, c); }
GRUCORE_INLINE F32x4 exact_mul_sub(const F32x4& a, const F32x4& b, const F32x4& c) { return sub(mul(a, b), c); }
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

GRUCORE_INLINE Mask4 lt(const F32x4& a, const F32x4& b) { return {vcltq_f32(a.v, b.v)}; }
GRUCORE_INLINE Mask4 gt(const F32x4& a, const F32x4& b) { return {vcgtq_f32(a.v, b.v)}; }
GRUCORE_INLINE F32x4 select(const Mask4& m, const F32x4& a, const F32x4& b) { return {vbslq_f32(m.v, a.v, b.v)}; }
GRUCORE_INLINE F32x4 zero_if(const Mask4& m, const F32x4& a) {
  return {vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(a.v), m.v))};
}
GRUCORE_INLINE F32x4 max(const F32x4& a, const F32x4& b) { return select(gt(a, b), a, b); }
GRUCORE_INLINE F32x4 min(const F32x4& a, const F32x4& b) { return select(lt(a, b), a, b); }
GRUCORE_INLINE I32x4 bits(const F32x4& a) { return {vreinterpretq_s32_f32(a.v)}; }
GRUCORE_INLINE F32x4 from_bits(const I32x4& a) { return {vreinterpretq_f32_s32(a.v)}; }
GRUCORE_INLINE I32x4 sub(const I32x4& a, const I32x4& b) { return {vsubq_s32(a.v, b.v)}; }
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
GRUCORE_INLINE F32x4 flush_denormals(const F32x4& a) {
  return zero_if({vcltq_s32(vreinterpretq_s32_f32(vabsq_f32(a.v)), vdupq_n_s32(0x00800000))}, a);
}

// What quantization takes. Weights in blocks are for plain C++.
GRUCORE_INLINE bool takes_bytes(const PackedWeights& weights) {
#if GRUCORE_HAS_BLOCKS
  return !weights.ends;
#else
  return static_cast<void>(weights), true;
#endif
}
constexpr bool kFillsEights = true;  // int4 weights are read for eight inputs at once
GRUCORE_INLINE F32x4 load_some_floats(const float* p, uint32_t count) {
  float32x4_t a = vdupq_n_f32(0.0f);
  if (count > 2) a = vld1q_lane_f32(p + 2, a, 2);
  if (count > 1) a = vld1q_lane_f32(p + 1, a, 1);
  return {vld1q_lane_f32(p, a, 0)};
}
GRUCORE_INLINE void store_low_bytes(int8_t* p, const I32x4& a) {
  const int16x4_t words = vmovn_s32(a.v);
  const int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
  const int32_t four = vget_lane_s32(vreinterpret_s32_s8(bytes), 0);
  __builtin_memcpy(p, &four, sizeof four);
}
// The largest magnitude so far. As integers they have the same order.
using Most = I32x4;
GRUCORE_INLINE Most no_most() { return {vdupq_n_s32(0)}; }
GRUCORE_INLINE Most larger(const Most& most, const F32x4& x) { return {vmaxq_s32(most.v, bits(abs(x)).v)}; }
GRUCORE_INLINE int32_t most_of(const Most& most) {
  const int32x2_t two = vmax_s32(vget_low_s32(most.v), vget_high_s32(most.v));
  return vget_lane_s32(vpmax_s32(two, two), 0);
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
