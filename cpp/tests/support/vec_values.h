// Values that find mistakes in float operations: special ones, random ones, hard triples for a*b + c.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_TESTS_VEC_VALUES_H_
#define GRUCORE_TESTS_VEC_VALUES_H_

#include <cstdint>
#include <cstring>
#include <vector>

#include "check.h"

namespace grucore_test {

inline float from_word(uint32_t word) {
  float x;
  std::memcpy(&x, &word, sizeof x);
  return x;
}

inline uint32_t next_random() {
  static uint64_t state = 0x9e3779b97f4a7c15u;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return static_cast<uint32_t>(state >> 16);
}

inline const std::vector<float>& special_values() {
  static const std::vector<float> values = [] {
    std::vector<float> v;
    const uint32_t words[] = {
        0x00000000, 0x00000001, 0x00000002, 0x00000003, 0x00400000, 0x007ffffe, 0x007fffff, 0x00800000, 0x00800001,
        0x00ffffff, 0x01000000, 0x0c800000, 0x1f800000, 0x33800000, 0x33800001, 0x34000000, 0x3eaaaaab, 0x3f000000,
        0x3f7fffff, 0x3f800000, 0x3f800001, 0x3fffffff, 0x40000000, 0x40490fdb, 0x4b000000, 0x4b7fffff, 0x4b800000,
        0x5f800000, 0x7e800000, 0x7f000000, 0x7f7ffffe, 0x7f7fffff, 0x7f800000, 0x7fc00000, 0x7fffffff, 0x7fc12345,
    };
    for (uint32_t word : words) {
      v.push_back(from_word(word));
      v.push_back(from_word(word | 0x80000000u));
    }
    return v;
  }();
  return values;
}

inline float random_near(int exponent, int spread) {
  const int offset = static_cast<int>(next_random() % static_cast<uint32_t>(2 * spread + 1)) - spread;
  const uint32_t field = static_cast<uint32_t>(exponent + 127 + offset);
  return from_word((next_random() & 0x807fffffu) | field << 23);
}

// Triples that a double rounding gets wrong, that cancel, or whose result is denormal.
inline void hard_triple(int kind, float* a, float* b, float* c) {
  switch (kind % 6) {
    case 0:
      *a = from_word(next_random());
      *b = from_word(next_random());
      *c = from_word(next_random());
      return;
    case 1:  // cancellation
      *a = random_near(0, 3);
      *b = random_near(0, 3);
      *c = from_word(float_bits(-(*a * *b)) + next_random() % 5 - 2);
      return;
    case 2:  // a product on the middle between two floats, and an addend that only breaks the tie
      *a = from_word((next_random() & 0x807ff000u) | 0x3f800800u);
      *b = from_word((next_random() & 0x807ff000u) | 0x3f800800u);
      *c = random_near(-40, 25);
      return;
    case 3:  // a product that misses half a unit in the addend's last place by very little
      *a = from_word(0x39800000u + next_random() % 9 - 4);
      *b = from_word(0x39800000u + next_random() % 9 - 4);
      *c = from_word((next_random() & 0x80000000u) | 0x3f800000u | (next_random() & 0x7fffffu));
      return;
    case 4:  // around the smallest normal and denormal results
      *a = random_near(-64, 2);
      *b = random_near(-70, 16);
      *c = from_word(next_random() & (0x807fffffu >> next_random() % 8 | 0x80000000u));
      return;
    default:  // around overflow
      *a = random_near(63, 2);
      *b = random_near(63, 2);
      *c = random_near(124, 3);
      return;
  }
}

}  // namespace grucore_test

#endif  // GRUCORE_TESTS_VEC_VALUES_H_
