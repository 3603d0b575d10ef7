/* Samples in, scores out: the exported model, hop by hop, for an audio thread in a browser.
   SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "kws.h"

#define EXPORT(name) __attribute__((export_name(#name)))

enum { kMostSamples = 1024, kMostFrames = kMostSamples / KWS_INPUTS + 1 };

static float samples[kMostSamples];            /* that the caller brings */
static float scores[kMostFrames][KWS_OUTPUTS]; /* of the frames that they completed */
static float pending[KWS_INPUTS];              /* the hop that is not complete */
static uint32_t pending_count;
static kws_state state;

EXPORT(sample_buffer) float* sample_buffer(void) { return samples; }
EXPORT(score_buffer) float* score_buffer(void) { return scores[0]; }
EXPORT(most_samples) uint32_t most_samples(void) { return kMostSamples; }
EXPORT(outputs) uint32_t outputs(void) { return KWS_OUTPUTS; }

EXPORT(reset) void reset(void) {
  pending_count = 0;
  kws_reset(&state);
}

/* `count` samples of the buffer; answers how many frames they completed, whose scores are in the other buffer. */
EXPORT(push) uint32_t push(uint32_t count) {
  uint32_t frames = 0;
  if (count > kMostSamples) count = kMostSamples;
  for (uint32_t i = 0; i < count; ++i) {
    pending[pending_count++] = samples[i];
    if (pending_count < KWS_INPUTS) continue;
    pending_count = 0;
    frames += kws_step(&state, pending, scores[frames]); /* 0 until the first window is full */
  }
  return frames;
}
