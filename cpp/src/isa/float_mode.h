// The floating-point control register: results are defined for the IEEE default (round to nearest,
// denormals kept) only, so step and run put it there and put the caller's back.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_ISA_FLOAT_MODE_H_
#define GRUCORE_ISA_FLOAT_MODE_H_

#include <stdint.h>

#if defined(__x86_64__) || defined(_M_X64) || defined(__SSE2__)
#include <xmmintrin.h>
#define GRUCORE_FLOAT_MODE_SSE 1
#endif

namespace grucore {
namespace detail {

#if defined(GRUCORE_FLOAT_MODE_SSE)

inline uint32_t read_float_mode() { return _mm_getcsr(); }
inline void write_float_mode(uint32_t mode) { _mm_setcsr(mode); }
constexpr uint32_t kFloatModeMask = 0xffc0;  // without the sticky exception flags
constexpr uint32_t kFloatModeDefault = 0x1f80;

#elif defined(__aarch64__)

inline uint32_t read_float_mode() {
  uint64_t mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return static_cast<uint32_t>(mode);
}
inline void write_float_mode(uint32_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(static_cast<uint64_t>(mode))); }
constexpr uint32_t kFloatModeMask = 0x07c00000;  // AHP, DN, FZ, RMode
constexpr uint32_t kFloatModeDefault = 0;

#elif defined(__arm__) && defined(__ARM_FP) && !defined(__SOFTFP__)

inline uint32_t read_float_mode() {
  uint32_t mode;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(mode));
  return mode;
}
inline void write_float_mode(uint32_t mode) { __asm__ volatile("vmsr fpscr, %0" : : "r"(mode)); }
constexpr uint32_t kFloatModeMask = 0x07c00000;
constexpr uint32_t kFloatModeDefault = 0;

#elif defined(__riscv_flen)

inline uint32_t read_float_mode() {
  uint32_t mode;
  __asm__ volatile("frrm %0" : "=r"(mode));
  return mode;
}
inline void write_float_mode(uint32_t mode) { __asm__ volatile("fsrm %0" : : "r"(mode)); }
constexpr uint32_t kFloatModeMask = 7;  // the rounding mode; denormals always are what they are
constexpr uint32_t kFloatModeDefault = 0;

#else

inline uint32_t read_float_mode() { return 0; }
inline void write_float_mode(uint32_t) {}
constexpr uint32_t kFloatModeMask = 0;
constexpr uint32_t kFloatModeDefault = 0;

#endif

class FloatMode {
 public:
  FloatMode() : before_(read_float_mode()) {
    if ((before_ & kFloatModeMask) != kFloatModeDefault) {
      write_float_mode((before_ & ~kFloatModeMask) | kFloatModeDefault);
    }
  }
  ~FloatMode() {
    if ((before_ & kFloatModeMask) != kFloatModeDefault) write_float_mode(before_);
  }
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

 private:
  uint32_t before_;
};

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_ISA_FLOAT_MODE_H_
