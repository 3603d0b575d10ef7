// Sums of integer products where an instruction takes four bytes at a time, or nothing faster is at hand: 16-bit
// activations as an upper and a lower byte, each with a sum of its own.
// SPDX-License-Identifier: Apache-2.0

#include "kernels/bodies/planes-inl.h"

namespace grucore::detail::GRUCORE_ISA {
namespace {

template <int kBits>
struct Dots;

template <>
struct Dots<8> {
  static constexpr int kRegisters = 1;
  I32 sum;
};
template <>
struct Dots<16> {
  static constexpr int kRegisters = 2;
  I32 sum, upper;
};

template <int kBits>
GRUCORE_INLINE Dots<kBits> dots_from(int32_t start) {
  Dots<kBits> dots;
  dots.sum = broadcast_i32(start);
  if constexpr (kBits == 16) dots.upper = broadcast_i32(0);
  return dots;
}

template <int kBits>
GRUCORE_INLINE void add_products(Dots<kBits>& dots, I8 weights, const Four<kBits>& x) {
  dots.sum = dot_add(dots.sum, weights, x.byte);
  if constexpr (kBits == 16) dots.upper = dot_add(dots.upper, weights, x.upper);
}
template <int kBits>
GRUCORE_INLINE void add_nibble_products(Dots<kBits>& dots, I8 weights, const Four<kBits>& x) {
  dots.sum = dot_add_nibbles(dots.sum, weights, x.byte);
  if constexpr (kBits == 16) dots.upper = dot_add_nibbles(dots.upper, weights, x.upper);
}

template <int kBits>
GRUCORE_INLINE void join(Dots<kBits>& dots, const Dots<kBits>& other) {
  dots.sum = add(dots.sum, other.sum);
  if constexpr (kBits == 16) dots.upper = add(dots.upper, other.upper);
}

#if GRUCORE_NIBBLES_STAY
// The other sums are 16 times as large as they should be, without a rest.
template <int kBits>
GRUCORE_INLINE void join_sixteenth(Dots<kBits>& dots, const Dots<kBits>& other) {
  dots.sum = add(dots.sum, shift_right_signed<4>(other.sum));
  if constexpr (kBits == 16) dots.upper = add(dots.upper, shift_right_signed<4>(other.upper));
}
#endif

template <int kBits>
GRUCORE_INLINE I32 total(const Dots<kBits>& dots) {
  if constexpr (kBits == 16) {
    return add(shift_left<7>(dots.upper), dots.sum);
  } else {
    return dots.sum;
  }
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
