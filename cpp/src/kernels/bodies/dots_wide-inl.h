// Sums of integer products in vectors of twice the width, where products of 16 bits are added to them. Included once
// per instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

#include "kernels/bodies/whole-inl.h"

namespace grucore::detail::GRUCORE_ISA {
namespace {

template <int kBits>
struct Dots {
  static constexpr int kRegisters = 2;
  Pairs sum;
};

template <int kBits>
GRUCORE_INLINE Dots<kBits> dots_from(int32_t start) {
  return {Pairs{start, 0, start, 0, start, 0, start, 0}};
}
template <int kBits>
GRUCORE_INLINE void add_products(Dots<kBits>& dots, I8 weights, const FourNumbers& x) {
  dots.sum = add_pairs(dots.sum, weights, x);
}
template <int kBits>
GRUCORE_INLINE void add_nibble_products(Dots<kBits>& dots, I8 weights, const FourNumbers& x) {
  dots.sum = add_pairs(dots.sum, weights, x);
}
template <int kBits>
GRUCORE_INLINE void join(Dots<kBits>& dots, const Dots<kBits>& other) {
  dots.sum += other.sum;
}
template <int kBits>
GRUCORE_INLINE I32 total(const Dots<kBits>& dots) {
  return join_pairs(dots.sum);
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
