// The Vec API on AArch64 NEON: 4 lanes. The contract of each operation stands in vec_scalar.h.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, after <arm_neon.h>.
// AArch32 NEON cannot serve: it flushes denormals and has no division.
namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kLanes = 4;
constexpr bool kFused = true;

struct F32 {
  float32x4_t v;
};
struct I32 {
  int32x4_t v;
};
struct Mask {
  uint32x4_t v;
};

GRUCORE_INLINE F32 zero() { return {vdupq_n_f32(0.0f)}; }
GRUCORE_INLINE F32 broadcast(float x) { return {vdupq_n_f32(x)}; }
GRUCORE_INLINE I32 broadcast_i32(int32_t x) { return {vdupq_n_s32(x)}; }

GRUCORE_INLINE F32 load(const float* p) { return {vld1q_f32(p)}; }
GRUCORE_INLINE void store(float* p, F32 a) { vst1q_f32(p, a.v); }

GRUCORE_INLINE F32 load_half(const uint16_t* p) { return {vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)))}; }
GRUCORE_INLINE F32 load_half_n(const uint16_t* p, int n) {
  uint16_t halves[kLanes] = {};
  __builtin_memcpy(halves, p, sizeof *p * static_cast<unsigned>(n));
  return load_half(halves);
}

template <int N>
GRUCORE_INLINE F32 load_lanes(const float* p) {
  static_assert(N >= 1 && N <= kLanes, "lanes");
  if constexpr (N == 1)
    return {vld1q_lane_f32(p, vdupq_n_f32(0.0f), 0)};
  else if constexpr (N == 2)
    return {vcombine_f32(vld1_f32(p), vdup_n_f32(0.0f))};
  else if constexpr (N == 3)
    return {vld1q_lane_f32(p + 2, load_lanes<2>(p).v, 2)};
  else
    return load(p);
}
template <int N>
GRUCORE_INLINE void store_lanes(float* p, F32 a) {
  static_assert(N >= 1 && N <= kLanes, "lanes");
  if constexpr (N == 1)
    vst1q_lane_f32(p, a.v, 0);
  else if constexpr (N == 2)
    vst1_f32(p, vget_low_f32(a.v));
  else if constexpr (N == 3)
    vst1_f32(p, vget_low_f32(a.v)), vst1q_lane_f32(p + 2, a.v, 2);
  else
    store(p, a);
}
GRUCORE_INLINE F32 load_n(const float* p, int n) {
  switch (n) {
    case 0: return zero();
    case 1: return load_lanes<1>(p);
    case 2: return load_lanes<2>(p);
    case 3: return load_lanes<3>(p);
    default: return load(p);
  }
}
GRUCORE_INLINE void store_n(float* p, F32 a, int n) {
  switch (n) {
    case 0: return;
    case 1: return store_lanes<1>(p, a);
    case 2: return store_lanes<2>(p, a);
    case 3: return store_lanes<3>(p, a);
    default: return store(p, a);
  }
}

GRUCORE_INLINE F32 add(F32 a, F32 b) { return {vaddq_f32(a.v, b.v)}; }
GRUCORE_INLINE F32 sub(F32 a, F32 b) { return {vsubq_f32(a.v, b.v)}; }
GRUCORE_INLINE F32 mul(F32 a, F32 b) { return {vmulq_f32(a.v, b.v)}; }
GRUCORE_INLINE F32 div(F32 a, F32 b) { return {vdivq_f32(a.v, b.v)}; }
GRUCORE_INLINE F32 sqrt(F32 a) { return {vsqrtq_f32(a.v)}; }
GRUCORE_INLINE F32 mul_add(F32 a, F32 b, F32 c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
// FMAX and FMIN order zeros and propagate NaN: not this API's contract.
GRUCORE_INLINE F32 exact_mul_add(F32 a, F32 b, F32 c) { return mul_add(a, b, c); }
GRUCORE_INLINE F32 exact_mul_sub(F32 a, F32 b, F32 c) { return {vfmaq_f32(vnegq_f32(c.v), a.v, b.v)}; }
GRUCORE_INLINE F32 max(F32 a, F32 b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
GRUCORE_INLINE F32 min(F32 a, F32 b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }

GRUCORE_INLINE F32 neg(F32 a) { return {vnegq_f32(a.v)}; }
GRUCORE_INLINE F32 abs(F32 a) { return {vabsq_f32(a.v)}; }

GRUCORE_INLINE Mask lt(F32 a, F32 b) { return {vcltq_f32(a.v, b.v)}; }
GRUCORE_INLINE Mask gt(F32 a, F32 b) { return {vcgtq_f32(a.v, b.v)}; }
GRUCORE_INLINE Mask eq(F32 a, F32 b) { return {vceqq_f32(a.v, b.v)}; }
GRUCORE_INLINE Mask is_nan(F32 a) { return {vmvnq_u32(vceqq_f32(a.v, a.v))}; }
GRUCORE_INLINE Mask is_nonfinite(F32 a) { return {vmvnq_u32(vcleq_f32(vabsq_f32(a.v), vdupq_n_f32(0x1.fffffep127f)))}; }

GRUCORE_INLINE Mask mask_and(Mask a, Mask b) { return {vandq_u32(a.v, b.v)}; }
GRUCORE_INLINE Mask mask_or(Mask a, Mask b) { return {vorrq_u32(a.v, b.v)}; }
GRUCORE_INLINE bool any(Mask a) { return vmaxvq_u32(a.v) != 0; }
GRUCORE_INLINE F32 select(Mask m, F32 if_true, F32 if_false) { return {vbslq_f32(m.v, if_true.v, if_false.v)}; }
GRUCORE_INLINE F32 zero_if(Mask m, F32 a) {
  return {vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(a.v), m.v))};
}

GRUCORE_INLINE I32 bits(F32 a) { return {vreinterpretq_s32_f32(a.v)}; }
GRUCORE_INLINE F32 from_bits(I32 a) { return {vreinterpretq_f32_s32(a.v)}; }
GRUCORE_INLINE I32 add(I32 a, I32 b) { return {vaddq_s32(a.v, b.v)}; }
GRUCORE_INLINE I32 sub(I32 a, I32 b) { return {vsubq_s32(a.v, b.v)}; }
GRUCORE_INLINE I32 bit_and(I32 a, I32 b) { return {vandq_s32(a.v, b.v)}; }
GRUCORE_INLINE I32 bit_or(I32 a, I32 b) { return {vorrq_s32(a.v, b.v)}; }
GRUCORE_INLINE I32 bit_xor(I32 a, I32 b) { return {veorq_s32(a.v, b.v)}; }
template <int N>
GRUCORE_INLINE I32 shift_left(I32 a) {
  return {vshlq_n_s32(a.v, N)};
}
template <int N>
GRUCORE_INLINE I32 shift_right(I32 a) {
  return {vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(a.v), N))};
}

GRUCORE_INLINE F32 flush_denormals(F32 a) { return zero_if(lt(abs(a), broadcast(0x1p-126f)), a); }

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
