// Division of 64-bit numbers. Small cores have none, and the one of their run-time library takes 800 bytes.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_FORMAT_DIVISION_H_
#define GRUCORE_FORMAT_DIVISION_H_

#include <stdint.h>

namespace grucore {
namespace detail {

#if UINTPTR_MAX > 0xffffffffu
inline uint64_t quotient(uint64_t a, uint64_t b) { return a / b; }
inline uint64_t remainder(uint64_t a, uint64_t b) { return a % b; }
#else
struct Division {
  uint64_t quotient, remainder;
};
Division divide(uint64_t a, uint64_t b);
inline uint64_t quotient(uint64_t a, uint64_t b) { return divide(a, b).quotient; }
inline uint64_t remainder(uint64_t a, uint64_t b) { return divide(a, b).remainder; }
#endif

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_FORMAT_DIVISION_H_
