// Sums of integer products where a multiplication takes 16 bits, a lane at a time.
// SPDX-License-Identifier: Apache-2.0

#include "kernels/bodies/whole-inl.h"

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
GRUCORE_INLINE void add_products(Dots<kBits>& dots, I8 weights, const FourNumbers& x) {
  dots.sum = add_four(dots.sum, weights, x);
}
template <int kBits>
GRUCORE_INLINE void add_nibble_products(Dots<kBits>& dots, I8 weights, const FourNumbers& x) {
  dots.sum = add_four(dots.sum, weights, x);
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
