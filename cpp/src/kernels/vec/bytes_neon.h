// Vectors of 16 bytes on AArch64, with and without the dot product. The contract of each operation stands in
// bytes_scalar.h.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, after vec_neon.h.
namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kWeightOffset = 0;
constexpr int kIntegerRows = 2;
constexpr int kIntegerVectors = 12;

struct I8 {
  int8x16_t v;
};

GRUCORE_INLINE I8 load_bytes(const unsigned char* p) { return {vld1q_s8(reinterpret_cast<const int8_t*>(p))}; }
GRUCORE_INLINE I8 load_bytes_n(const unsigned char* p, int) { return load_bytes(p); }
GRUCORE_INLINE I8 broadcast_four(const unsigned char* p) {
  int32_t four;
  __builtin_memcpy(&four, p, sizeof four);
  return {vreinterpretq_s8_s32(vdupq_n_s32(four))};
}
GRUCORE_INLINE I8 low_nibbles(I8 a) { return {vandq_s8(a.v, vdupq_n_s8(15))}; }
GRUCORE_INLINE I8 high_nibbles(I8 a) { return {vreinterpretq_s8_u8(vshrq_n_u8(vreinterpretq_u8_s8(a.v), 4))}; }
GRUCORE_INLINE I8 flip_nibbles(I8 a) {
  return {vreinterpretq_s8_u8(veorq_u8(vreinterpretq_u8_s8(a.v), vdupq_n_u8(0x88)))};
}
GRUCORE_INLINE I8 biased(I8 weights) { return weights; }

#if GRUCORE_HAS_DOT
constexpr int kDotsInFlight = 12;
GRUCORE_INLINE I32 dot_add(I32 sum, I8 weights, I8 activations) { return {vdotq_s32(sum.v, weights.v, activations.v)}; }
#else
constexpr int kDotsInFlight = 1;
GRUCORE_INLINE I32 dot_add(I32 sum, I8 weights, I8 activations) {
  const int16x8_t low = vmull_s8(vget_low_s8(weights.v), vget_low_s8(activations.v));
  const int16x8_t high = vmull_high_s8(weights.v, activations.v);
  return {vaddq_s32(sum.v, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)))};
}
#endif
GRUCORE_INLINE I32 dot_add_nibbles(I32 sum, I8 weights, I8 activations) { return dot_add(sum, weights, activations); }

template <int N>
GRUCORE_INLINE I32 shift_right_signed(I32 a) {
  return {vshrq_n_s32(a.v, N)};
}
GRUCORE_INLINE F32 to_float(I32 a) { return {vcvtq_f32_s32(a.v)}; }
GRUCORE_INLINE void store_low_bytes(unsigned char* p, I32 a) {
  const int8x8_t bytes = vmovn_s16(vcombine_s16(vmovn_s32(a.v), vmovn_s32(a.v)));
  const int32_t four = vget_lane_s32(vreinterpret_s32_s8(bytes), 0);
  __builtin_memcpy(p, &four, sizeof four);
}
GRUCORE_INLINE int32_t sum_lanes(I32 a) { return vaddvq_s32(a.v); }
GRUCORE_INLINE float max_lanes(F32 a) { return vmaxvq_f32(a.v); }

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
