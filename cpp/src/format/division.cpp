// Division bit by bit, where a machine has no wider one than 32 bits. It is for checks at load, and for the clocks of
// strided models after 2^32 frames.
// SPDX-License-Identifier: Apache-2.0
#include "format/division.h"

#if UINTPTR_MAX <= 0xffffffffu

namespace grucore {
namespace detail {

Division divide(uint64_t a, uint64_t b) {
  if ((a | b) >> 32 == 0) {
    const uint32_t low = static_cast<uint32_t>(a), by = static_cast<uint32_t>(b);
    return {low / by, low % by};
  }
  Division result = {0, 0};
  for (int bit = 0; bit < 64; ++bit, a <<= 1) {
    const bool carry = result.remainder >> 63 != 0;
    result.remainder = result.remainder << 1 | a >> 63;
    result.quotient <<= 1;
    if (carry || result.remainder >= b) {
      result.remainder -= b;
      result.quotient |= 1;
    }
  }
  return result;
}

}  // namespace detail
}  // namespace grucore

#endif
