// Plays a WAV file through a GRU amplifier in blocks of 64 samples, as an audio host would, and says how long one
// takes. SPDX-License-Identifier: Apache-2.0 Usage: audio MODEL.gru IN.wav OUT.wav
#include <chrono>
#include <cstdio>
#include <exception>

#include "amplifier.h"
#include "wav.h"

namespace {

constexpr uint32_t kBlock = 64;

int play(const char* model, const char* in, const char* out) {
  Amplifier amplifier(model, kBlock);
  Sound sound = read_wav(in);

  std::fputs("callbacks begin\n", stderr);  // what follows up to the other line is the audio thread's
  const auto begin = std::chrono::steady_clock::now();
  for (size_t at = 0; at < sound.samples.size(); at += kBlock) {
    const size_t left = sound.samples.size() - at;
    float* const block = sound.samples.data() + at;
    amplifier.process(block, block, left < kBlock ? static_cast<uint32_t>(left) : kBlock);
  }
  const auto end = std::chrono::steady_clock::now();
  std::fputs("callbacks end\n", stderr);

  write_wav(out, sound);
  const double seconds = std::chrono::duration<double>(end - begin).count();
  const double blocks = static_cast<double>((sound.samples.size() + kBlock - 1) / kBlock);
  const double length = static_cast<double>(sound.samples.size()) / sound.rate;
  std::printf("%.2f s of sound in %.4f s: %.2f us for each block of %u, %.2f %% of the time that it lasts\n", length,
              seconds, 1e6 * seconds / blocks, kBlock, 100 * seconds / length);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: audio MODEL.gru IN.wav OUT.wav\n");
    return 2;
  }
  try {
    return play(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
