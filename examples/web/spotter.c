/* Samples in, scores out: log-mel features and the exported network, for an audio thread in a browser.
   SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "features.h"
#include "kws.h"

#define EXPORT(name) __attribute__((export_name(#name)))

enum { kMostSamples = 1024, kMostFrames = kMostSamples / HOP_SAMPLES + 1 };

static float samples[kMostSamples];            /* that the caller brings */
static float scores[kMostFrames][KWS_OUTPUTS]; /* of the frames that they completed */
static float pending[WINDOW_SAMPLES];
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

/* Natural logarithm of a positive number, to seven digits: that of the mantissa by the series of the inverse tanh. */
static float ln(float x) {
  uint32_t bits;
  float mantissa;
  __builtin_memcpy(&bits, &x, sizeof bits);
  int exponent = (int)(bits >> 23) - 127;
  bits = (bits & 0x007fffffu) | 0x3f800000u;
  __builtin_memcpy(&mantissa, &bits, sizeof mantissa);
  if (mantissa > 1.41421356f) {
    mantissa *= 0.5f;
    ++exponent;
  }
  const float s = (mantissa - 1) / (mantissa + 1), q = s * s;
  const float series = 1 + q * (0.33333333f + q * (0.2f + q * (0.14285714f + q * 0.11111111f)));
  return (float)exponent * 0.69314718f + 2 * s * series;
}

/* In place; points interleaved, in bit-reversed order. */
static void fft(float* z) {
  for (int half = 1; half < FFT_POINTS; half *= 2) {
    const int stride = FFT_POINTS / 2 / half;
    for (int j = 0; j < half; ++j) {
      const float c = kTurn[2 * j * stride], s = kTurn[2 * j * stride + 1];
      for (int i = j; i < FFT_POINTS; i += 2 * half) {
        float *a = z + 2 * i, *b = a + 2 * half;
        const float r = b[0] * c - b[1] * s, m = b[0] * s + b[1] * c;
        b[0] = a[0] - r;
        b[1] = a[1] - m;
        a[0] += r;
        a[1] += m;
      }
    }
  }
}

/* A real transform of 2 * FFT_POINTS samples by a complex one of half as many. */
static void log_mel(const float* x, float* bands) {
  static float z[2 * FFT_POINTS], power[FFT_POINTS + 1];
  __builtin_memset(z, 0, sizeof z);
  for (int i = 0; i < WINDOW_SAMPLES / 2; ++i) {
    float* point = z + 2 * kReversed[i];
    point[0] = x[2 * i] * kWindow[2 * i];
    point[1] = x[2 * i + 1] * kWindow[2 * i + 1];
  }
  fft(z);
  for (int k = 0; k <= FFT_POINTS / 2; ++k) {
    const float *a = z + 2 * (k % FFT_POINTS), *b = z + 2 * ((FFT_POINTS - k) % FFT_POINTS);
    const float even_r = 0.5f * (a[0] + b[0]), even_i = 0.5f * (a[1] - b[1]);
    const float odd_r = 0.5f * (a[1] + b[1]), odd_i = -0.5f * (a[0] - b[0]);
    const float c = kHalfTurn[2 * k], s = kHalfTurn[2 * k + 1];
    const float turned_r = odd_r * c - odd_i * s, turned_i = odd_r * s + odd_i * c;
    const float r = even_r + turned_r, i = even_i + turned_i, u = even_r - turned_r, v = even_i - turned_i;
    power[k] = r * r + i * i;
    power[FFT_POINTS - k] = u * u + v * v;
  }
  const float* weight = kMelWeights;
  for (int band = 0; band < KWS_INPUTS; ++band) {
    const float* from = power + kMelFirst[band];
    float sum = 0;
    for (int n = kMelCount[band]; n > 0; --n) sum += *weight++ * *from++;
    bands[band] = (ln(sum + LOG_FLOOR) - LOG_CENTRE) / LOG_SCALE;
  }
}

/* `count` samples of the buffer; answers how many frames they completed, whose scores are in the other buffer. */
EXPORT(push) uint32_t push(uint32_t count) {
  uint32_t frames = 0;
  if (count > kMostSamples) count = kMostSamples;
  for (uint32_t i = 0; i < count; ++i) {
    pending[pending_count++] = samples[i];
    if (pending_count < WINDOW_SAMPLES) continue;
    float bands[KWS_INPUTS];
    log_mel(pending, bands);
    kws_step(&state, bands, scores[frames++]);
    pending_count -= HOP_SAMPLES;
    __builtin_memmove(pending, pending + HOP_SAMPLES, pending_count * sizeof(float));
  }
  return frames;
}
