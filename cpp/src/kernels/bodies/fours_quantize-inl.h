// Rows of activations to bytes by vectors of four floats that make denormals zero (vec/helium.h, vec/arm32.h): a number
// that small is 0 as an integer. Included once per instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kLowerBits = 7;  // of an activation of 16 bits, in a byte that is never negative

GRUCORE_INLINE float largest(const float* x, uint32_t count) {
  Most most = no_most();
  for (; count >= 4; count -= 4, x += 4) most = larger(most, load_four_floats(x));
  if (count) most = larger(most, load_some_floats(x, count));
  const int32_t magnitude = most_of(most);
  return magnitude < 0x7f800000 ? bit_cast<float>(magnitude) : __builtin_nanf("");
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
    const I32x4 rounded = bits(add(scaled, Float{kRounds}));
    const I32x4 q = sub(rounded, like(rounded, bit_cast<int32_t>(kRounds)));
    if (plane == 0) return store_low_bytes(to, q);
    store_low_bytes(to, shift_right_signed<kLowerBits>(q));
    store_low_bytes(to + plane, bit_and(q, like(q, (1 << kLowerBits) - 1)));
  }
};

// With zeros up to a multiple of 4, or of 8.
GRUCORE_INLINE void quantize_bytes(const float* x, uint32_t count, const ToBytes& by, unsigned char* values) {
  int8_t* to = reinterpret_cast<int8_t*>(values);
  for (; count >= 4; count -= 4, x += 4, to += 4) by.store(to, load_four_floats(x));
  if (count) {
    by.store(to, load_some_floats(x, count));
    to += 4;
  }
  if (kFillsEights && (reinterpret_cast<unsigned char*>(to) - values) % 8 != 0) by.store(to, F32x4(Float{0.0f}));
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
