// Models and signals that are the same on every machine: small integers times powers of two, from a
// generator of our own (the standard distributions differ from library to library).
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_TESTS_PORTABLE_H_
#define GRUCORE_TESTS_PORTABLE_H_

#include "file_builder.h"

namespace grucore_test {

class PortableRandom {
 public:
  explicit PortableRandom(uint32_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint32_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<uint32_t>(state_ >> 32);
  }
  // In [-bound, bound), in steps of bound / 2^23, exactly.
  float uniform(float bound) {
    return static_cast<float>(static_cast<int32_t>(next() >> 8) - (1 << 23)) * (bound / (1 << 23));
  }

 private:
  uint64_t state_;
};

inline textbook::Floats portable_floats(size_t count, float bound, PortableRandom* random) {
  textbook::Floats floats(count);
  for (float& value : floats) value = random->uniform(bound);
  return floats;
}

inline textbook::Gru portable_gru(uint32_t input_size, uint32_t hidden_size, bool reset_before, bool reverse,
                                  PortableRandom* random) {
  // A power of two near 1 / sqrt(hidden_size), so that products with it are exact.
  float bound = 1.0f;
  while (bound * bound * static_cast<float>(hidden_size) > 1.0f) bound /= 2;
  textbook::Gru gru;
  gru.input_size = input_size;
  gru.hidden_size = hidden_size;
  gru.reset_before = reset_before;
  gru.reverse = reverse;
  gru.weight_ih = portable_floats(3 * size_t{hidden_size} * input_size, 2 * bound, random);
  gru.weight_hh = portable_floats(3 * size_t{hidden_size} * hidden_size, 2 * bound, random);
  gru.bias = portable_floats((reset_before ? 3 : 4) * size_t{hidden_size}, bound, random);
  return gru;
}

// Mostly speech-like sizes; now and then silence, a denormal, or far beyond saturation.
inline textbook::Floats portable_signal(size_t count, PortableRandom* random) {
  textbook::Floats signal(count);
  for (float& value : signal) {
    value = random->uniform(4.0f);
    switch (random->next() % 64) {
      case 0: value = 0.0f; break;
      case 1: value = -0.0f; break;
      case 2: value *= 1e-39f; break;
      case 3: value *= 1e-20f; break;
      case 4: value *= 1024.0f; break;
      default: break;
    }
  }
  return signal;
}

}  // namespace grucore_test

#endif  // GRUCORE_TESTS_PORTABLE_H_
