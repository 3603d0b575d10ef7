/* SPDX-License-Identifier: Apache-2.0
   Many frames of noise through a model, and a sum over the bits of all outputs: the same on every machine.
   model_frames.h is written beside it: LONG_FRAMES and the model's calls. */
#include "board.h"
#include "model_frames.h"

static MODEL_STATE state;
static float x[MODEL_INPUTS], y[MODEL_OUTPUTS];

int main(void) {
  uint32_t seed = 2463534242u, weight = 1, sum = 0, word, t, i;
  MODEL_RESET(&state);
  for (t = 0; t < LONG_FRAMES; ++t) {
    for (i = 0; i < MODEL_INPUTS; ++i) {
      seed ^= seed << 13;
      seed ^= seed >> 17;
      seed ^= seed << 5;
      x[i] = (float)(int32_t)seed * (1.0f / (1 << 30));
    }
    MODEL_RUN(x, y);
    for (i = 0; i < MODEL_OUTPUTS; ++i, weight += 2) {
      __builtin_memcpy(&word, y + i, 4);
      sum += word * weight;
    }
  }
  print("sum ");
  print_number(sum);
  print("\n");
  return 0;
}
