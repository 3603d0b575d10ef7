// The correctly rounded square root of one float, without libm: an instruction where there is one, else digit by digit.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included by vec_scalar.h, once per kernel file. The includer has <stdint.h>.
// Not __builtin_sqrtf: for the sake of errno it may call sqrtf.
#if defined(__SSE2__) || defined(_M_X64) || (defined(_M_IX86_FP) && _M_IX86_FP >= 2)
#include <emmintrin.h>
#define GRUCORE_SQRT_SSE2 1
#elif defined(__aarch64__) || defined(_M_ARM64)
#include <arm_neon.h>
#define GRUCORE_SQRT_NEON 1
#elif defined(__GNUC__) && defined(__ARM_FP) && (__ARM_FP & 4)
#define GRUCORE_SQRT_VFP 1
#endif

namespace grucore::detail::GRUCORE_ISA {
namespace {

// The root of the float with the bits `word`, as bits. Digits are those of the integer square root, two bits at a time.
GRUCORE_INLINE uint32_t square_root_by_digits(uint32_t word) {
  constexpr uint32_t kSign = 0x80000000u, kInfinity = 0x7f800000u, kQuiet = 0x00400000u, kNan = kInfinity | kQuiet;
  if ((word & ~kSign) > kInfinity) return word | kQuiet;
  if ((word & ~kSign) == 0 || word == kInfinity) return word;
  if ((word & kSign) != 0) return kNan;

  // The float is mantissa * 2^(exponent - 150), its mantissa in [2^23, 2^24).
  int32_t exponent = static_cast<int32_t>(word >> 23);
  uint32_t mantissa = word & 0x007fffffu;
  if (exponent == 0) {
    exponent = 1;
    for (; mantissa < 0x00800000u; mantissa += mantissa) --exponent;
  } else {
    mantissa |= 0x00800000u;
  }
  // An even power of two goes out of the root; 25 digits: the last one rounds. A tie cannot be: it would be the root
  // of a number of more than 24 bits.
  if ((exponent & 1) == 0) mantissa += mantissa;
  uint64_t rest = static_cast<uint64_t>(mantissa) << 25;
  uint64_t root = 0;
  for (uint64_t digit = static_cast<uint64_t>(1) << 48; digit != 0; digit >>= 2) {
    const uint64_t trial = root + digit;
    root >>= 1;
    if (rest >= trial) {
      rest -= trial;
      root += digit;
    }
  }
  // The rounded root has its leading digit in the place of the exponent's lowest bit.
  const uint32_t half = static_cast<uint32_t>((exponent + 125 - ((exponent & 1) == 0 ? 1 : 0)) / 2);
  return (half << 23) + static_cast<uint32_t>((root + 1) >> 1);
}

GRUCORE_INLINE float square_root(float x) {
#if defined(GRUCORE_SQRT_SSE2)
  return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
#elif defined(GRUCORE_SQRT_NEON)
  return vget_lane_f32(vsqrt_f32(vdup_n_f32(x)), 0);
#elif defined(GRUCORE_SQRT_VFP)
  float root;
  __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(x));
  return root;
#else
  uint32_t word;
  __builtin_memcpy(&word, &x, sizeof word);
  word = square_root_by_digits(word);
  __builtin_memcpy(&x, &word, sizeof word);
  return x;
#endif
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
