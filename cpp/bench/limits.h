// The best that this machine can do, measured in the run it is compared with: reading memory, multiplying.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_BENCH_LIMITS_H_
#define GRUCORE_BENCH_LIMITS_H_

#include <stddef.h>
#include <stdint.h>

#include "grucore/grucore.h"

namespace grucore_bench {

// The widest loads and multiply-adds of an instruction set; on other machines what the compiler makes of it.
struct Limits {
  // Reads `bytes` (a multiple of 64, aligned to 64) once.
  uint32_t (*read)(const void* from, size_t bytes);
  // Does `rounds` times macs_of_a_round multiply-adds in registers.
  float (*multiply)(uint32_t rounds);
  double macs_of_a_round;
  // The same of bytes into sums of 32 bits.
  float (*multiply_bytes)(uint32_t rounds);
  double byte_macs_of_a_round;
};

Limits limits_of(grucore::Isa isa);

// A chain of integer operations, the same on every machine and in every build: its time shows how much of
// the core a run had.
uint32_t fixed_loop(uint32_t rounds);

// Keeps the compiler from dropping what made `value`.
template <class T>
inline void keep(const T& value) {
#if defined(__GNUC__)
  __asm__ volatile("" : : "g"(value) : "memory");
#else
  static volatile T sink;
  sink = value;
#endif
}

}  // namespace grucore_bench

#endif  // GRUCORE_BENCH_LIMITS_H_
