// Rows of activations to bytes where Helium has floats. Included once per instruction set, inside its target region.
// No denormal is any different from zero here: a number that small is 0 as an integer.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kLowerBits = 7;  // of an activation of 16 bits, in a byte that is never negative

GRUCORE_INLINE F32x4 load_some_floats(const float* p, uint32_t count) { return {vldrwq_z_f32(p, vctp32q(count))}; }

// As integers magnitudes have the same order.
GRUCORE_INLINE int32_t larger(int32_t most, const F32x4& x) { return vmaxvq_s32(most, bits(abs(x)).v); }

GRUCORE_INLINE float largest(const float* x, uint32_t count) {
  int32_t most = 0;
  for (; count >= 4; count -= 4, x += 4) most = larger(most, load_four_floats(x));
  if (count) most = larger(most, load_some_floats(x, count));
  return most < 0x7f800000 ? bit_cast<float>(most) : __builtin_nanf("");
}

// How a group of inputs becomes integers.
struct ToBytes {
  Float inverse, levels;
  bool clamps;
  size_t plane;  // of 16 bits: from the upper bytes to the lower ones; 0: 8 bits

  GRUCORE_INLINE void store(int8_t* to, const F32x4& x) const {
    constexpr float kRounds = 0x1.8p23f;
    F32x4 scaled = mul(x, inverse);
    if (clamps) scaled = max(Float{-levels.v}, min(levels, scaled));
    const int32x4_t q = vsubq_n_s32(bits(add(scaled, Float{kRounds})).v, bit_cast<int32_t>(kRounds));
    if (plane == 0) return vstrbq_s32(to, q);
    vstrbq_s32(to, vshrq_n_s32(q, kLowerBits));
    vstrbq_s32(to + plane, vandq_s32(q, vdupq_n_s32((1 << kLowerBits) - 1)));
  }
};

// With zeros up to a multiple of 4.
GRUCORE_INLINE void quantize_bytes(const float* x, uint32_t count, const ToBytes& by, unsigned char* values) {
  int8_t* to = reinterpret_cast<int8_t*>(values);
  for (; count >= 4; count -= 4, x += 4, to += 4) by.store(to, load_four_floats(x));
  if (count) by.store(to, load_some_floats(x, count));
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
