// IEEE binary16 to float32, exactly.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_KERNELS_VEC_HALF_H_
#define GRUCORE_KERNELS_VEC_HALF_H_

#include <stdint.h>

namespace grucore {
namespace detail {

// static: kernel files must not share functions. For finite numbers; no float on the way is denormal.
static inline float half_to_float(uint16_t half) {
  const uint32_t magnitude = static_cast<uint32_t>(half & 0x7fffu) << 13;
  const bool is_small = magnitude < 0x00800000u;  // exponent 0: a denormal half, m * 2^-24
  // With 113 as its exponent a small half is 2^-14 + m * 2^-24.
  const uint32_t shifted = magnitude + (is_small ? 0x38800000u : 0x38000000u);
  float value;
  __builtin_memcpy(&value, &shifted, sizeof value);
  if (is_small) value -= 0x1p-14f;
  return half & 0x8000u ? -value : value;
}

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_KERNELS_VEC_HALF_H_
