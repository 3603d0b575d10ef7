// Sums of integer products where a multiplication takes 16 bits: activations of 16 bits stay whole, in the place that
// two planes of bytes have elsewhere. One sum either way, which is exact: the same bits.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

// What is stored at once: four, whose order in memory is that of FourNumbers.
constexpr int kStoredVectors = 4;
constexpr uint32_t kStored = 4;

template <int kBits>
GRUCORE_INLINE void store_activations(unsigned char* values, size_t at, size_t, const I32 (&q)[4]) {
  if constexpr (activation_bytes(kBits) == 2) {
    store_four_numbers(values + 2 * at, q);
  } else {
    store_four_bytes(values + at, q);
  }
}

template <int kBits>
using Four = FourNumbers;

template <int kBits>
GRUCORE_INLINE FourNumbers load_four(const unsigned char* values, size_t at, size_t) {
  if constexpr (activation_bytes(kBits) == 2) {
    return four_numbers(values + 2 * at);
  } else {
    return four_bytes(values + at);
  }
}

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
