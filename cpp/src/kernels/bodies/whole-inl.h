// Activations where a multiplication takes 16 bits: those of 16 bits stay whole, in the place that two planes of bytes
// have elsewhere. One sum in place of two, which is exact: the same bits. Included once per instruction set, inside its
// target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

// The numbers stored at once: four, whose order in memory is that of FourNumbers.
constexpr uint32_t kStored = 4;
constexpr int kStoredVectors = 4 / kLanes;

template <int kBits>
GRUCORE_INLINE void store_activations(unsigned char* values, size_t at, size_t, const I32 (&q)[kStoredVectors]) {
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

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
