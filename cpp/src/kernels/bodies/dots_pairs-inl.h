// Sums of integer products where the machine multiplies unsigned by signed bytes, adds pairs and saturates at 16
// bits. The activations' signs go to the weights, so that a pair is at most 2 * 128 * 127 and never saturates.
// SPDX-License-Identifier: Apache-2.0

#include "kernels/bodies/planes-inl.h"

namespace grucore::detail::GRUCORE_ISA {
namespace {

template <int kBits>
struct Dots {
  static constexpr int kRegisters = 1;
  I32 sum;
};

template <int kBits>
GRUCORE_INLINE Dots<kBits> dots_from(int32_t start) {
  return {broadcast_i32(start)};
}

template <int kBits>
GRUCORE_INLINE void add_products(Dots<kBits>& dots, I8 weights, const Four<kBits>& x) {
  if constexpr (kBits == 16) {
    const I32 upper = scaled_pairs<128>(multiply_bytes(abs_bytes(x.upper), sign_bytes(weights, x.upper)));
    dots.sum = add(dots.sum, add(upper, scaled_pairs<1>(multiply_bytes(x.byte, weights))));
  } else {
    dots.sum = add(dots.sum, scaled_pairs<1>(multiply_bytes(abs_bytes(x.byte), sign_bytes(weights, x.byte))));
  }
}
template <int kBits>
GRUCORE_INLINE void add_nibble_products(Dots<kBits>& dots, I8 weights, const Four<kBits>& x) {
  dots.sum = add(dots.sum, scaled_pairs<1>(multiply_bytes(weights, x.byte)));
  if constexpr (kBits == 16) dots.sum = add(dots.sum, scaled_pairs<128>(multiply_bytes(weights, x.upper)));
}

template <int kBits>
GRUCORE_INLINE void join(Dots<kBits>& dots, const Dots<kBits>& other) {
  dots.sum = add(dots.sum, other.sum);
}

template <int kBits>
GRUCORE_INLINE I32 total(const Dots<kBits>& dots) {
  return dots.sum;
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
