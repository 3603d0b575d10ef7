// Sums of integer products where vectors multiply pairs of 16-bit numbers: 16 bytes of weights become two vectors of
// them, each with sums of its own that are joined at the end. Included once per instruction set, inside its target
// region.
// SPDX-License-Identifier: Apache-2.0

#include "kernels/bodies/whole-inl.h"

namespace grucore::detail::GRUCORE_ISA {
namespace {

template <int kBits>
struct Dots {
  static constexpr int kRegisters = 2;
  I32 low, high;
};

// Half of the sums start from `start`, and the others from 0.
template <int kBits>
GRUCORE_INLINE Dots<kBits> dots_from(int32_t start) {
  const I32 half = start_of_pairs(start);
  return {half, half};
}
template <int kBits>
GRUCORE_INLINE void add_products(Dots<kBits>& dots, I8 weights, FourNumbers x) {
  dots.low = add_low_rows(dots.low, weights, x);
  dots.high = add_high_rows(dots.high, weights, x);
}
template <int kBits>
GRUCORE_INLINE void add_nibble_products(Dots<kBits>& dots, I8 weights, FourNumbers x) {
  add_products(dots, weights, x);
}
template <int kBits>
GRUCORE_INLINE void join(Dots<kBits>& dots, const Dots<kBits>& other) {
  dots.low = add(dots.low, other.low);
  dots.high = add(dots.high, other.high);
}
template <int kBits>
GRUCORE_INLINE I32 total(const Dots<kBits>& dots) {
  return join_rows(dots.low, dots.high);
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
