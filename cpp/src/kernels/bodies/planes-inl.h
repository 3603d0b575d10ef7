// Activations in bytes, as vectors of bytes multiply them: with 16 bits an upper byte and a lower one that is never
// negative, each in a plane of its own. Included once per instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

// The numbers stored at once.
constexpr int kStoredVectors = 1;
constexpr uint32_t kStored = kLanes;

template <int kBits>
GRUCORE_INLINE void store_activations(unsigned char* values, size_t at, size_t plane, const I32 (&q)[1]) {
  if constexpr (kBits == 16) {
    store_low_bytes(values + at, shift_right_signed<7>(q[0]));
    store_low_bytes(values + plane + at, bit_and(q[0], broadcast_i32(127)));
  } else {
    store_low_bytes(values + at, q[0]);
  }
}

// Four activations for all lanes.
template <int kBits>
struct Four {
  I8 byte;
};
template <>
struct Four<16> {
  I8 byte, upper;  // the lower byte is never negative
};

template <int kBits>
GRUCORE_INLINE Four<kBits> load_four(const unsigned char* values, size_t at, size_t plane) {
  Four<kBits> four;
  if constexpr (kBits == 16) {
    four.upper = broadcast_four(values + at);
    four.byte = broadcast_four(values + plane + at);
  } else {
    four.byte = broadcast_four(values + at);
  }
  return four;
}

#if GRUCORE_HALVES
// Four activations for the lower half of the lanes, and four for the upper one.
template <int kBits>
GRUCORE_INLINE Four<kBits> load_fours(const unsigned char* values, size_t low, size_t high, size_t plane) {
  Four<kBits> four;
  if constexpr (kBits == 16) {
    four.upper = broadcast_fours(values + low, values + high);
    four.byte = broadcast_fours(values + plane + low, values + plane + high);
  } else {
    four.byte = broadcast_fours(values + low, values + high);
  }
  return four;
}
#endif

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
