// Writes a WAV file with a plucked string, and silence, and a sample that is no number: input for the audio example.
// SPDX-License-Identifier: Apache-2.0
// Usage: pluck OUT.wav
#include <cmath>
#include <cstdio>

#include "../../examples/audio/wav.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  constexpr uint32_t kRate = 48000, kLength = 3 * kRate / 2, kPeriod = 436;
  Sound sound;
  sound.rate = kRate;
  uint32_t random = 1;
  for (uint32_t i = 0; i < kPeriod; ++i) {
    random = random * 1664525u + 1013904223u;
    sound.samples.push_back(static_cast<float>(random >> 8) * 0x1p-24f - 0.5f);
  }
  for (uint32_t i = kPeriod; i < kLength; ++i) {
    sound.samples.push_back(0.498f * (sound.samples[i - kPeriod] + sound.samples[i - kPeriod + 1]));
  }
  sound.samples.resize(kLength + kRate / 2, 0.0f);
  sound.samples[kLength + 1000] = std::nanf("");
  write_wav(argv[1], sound);
  return 0;
}
