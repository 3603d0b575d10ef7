/* SPDX-License-Identifier: Apache-2.0
   A GRU and a dense layer, written down as their formulas stand, with libm: the loops that
   exported code is measured beside. PLAIN: 1 one row at a time, 2 two rows of int8 and SMLAD, 4 four rows.
   Numbers of rows are multiples of 4, of int8 those of inputs too. plain_model.h has the sizes I, H, O and the weights, row after row: float, or int8 with a scale for each row. */
#include <math.h>

#include "plain_model.h"

static float h[H];

#if defined(PLAIN_INT8)
typedef int8_t weight;
typedef int16_t number;
#if PLAIN == 2 /* 0 2 | 1 3, as bytes are widened */
#define PLACE(i) (((i) & ~3) | ((i) << 1 & 2) | ((i) >> 1 & 1))
#else
#define PLACE(i) (i)
#endif
static float quantize(number *q, const float *x, int n) {
  float most = 0, inverse;
  int i;
  for (i = 0; i < n; ++i) most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
  if (most == 0) most = 1;
  inverse = 16383 / most;
  for (i = 0; i < n; ++i) q[PLACE(i)] = (number)(x[i] * inverse + (x[i] < 0 ? -0.5f : 0.5f));
  return most / 16383;
}
#define SCALED(sum, row) ((float)(sum) * s * scale[row])
#define SUM int32_t
#else
typedef float weight;
typedef float number;
#define SCALED(sum, row) (sum)
#define SUM float
#endif

__attribute__((noinline)) static void add(float *y, const weight *w, const float *scale, const number *x, float s, int rows, int n) {
  int i = 0, k;
  (void)scale;
  (void)s;
#if PLAIN == 4
  for (; i + 4 <= rows; i += 4) {
    const weight *a = w + i * n, *b = a + n, *c = b + n, *d = c + n;
    SUM p = 0, q = 0, r = 0, t = 0;
    for (k = 0; k < n; ++k) {
      const number v = x[k];
      p += a[k] * v;
      q += b[k] * v;
      r += c[k] * v;
      t += d[k] * v;
    }
    y[i] += SCALED(p, i);
    y[i + 1] += SCALED(q, i + 1);
    y[i + 2] += SCALED(r, i + 2);
    y[i + 3] += SCALED(t, i + 3);
  }
#elif PLAIN == 2
  for (; i + 2 <= rows; i += 2) {
    const weight *a = w + i * n, *b = a + n;
    int32_t p = 0, q = 0;
    for (k = 0; k < n; k += 4) {
      uint32_t word, even, odd, first, second;
      __builtin_memcpy(&even, x + k, 4);
      __builtin_memcpy(&odd, x + k + 2, 4);
      __builtin_memcpy(&word, a + k, 4);
      __asm__("sxtb16 %0, %1" : "=r"(first) : "r"(word));
      __asm__("sxtb16 %0, %1, ror #8" : "=r"(second) : "r"(word));
      __asm__("smlad %0, %1, %2, %0" : "+r"(p) : "r"(first), "r"(even));
      __asm__("smlad %0, %1, %2, %0" : "+r"(p) : "r"(second), "r"(odd));
      __builtin_memcpy(&word, b + k, 4);
      __asm__("sxtb16 %0, %1" : "=r"(first) : "r"(word));
      __asm__("sxtb16 %0, %1, ror #8" : "=r"(second) : "r"(word));
      __asm__("smlad %0, %1, %2, %0" : "+r"(q) : "r"(first), "r"(even));
      __asm__("smlad %0, %1, %2, %0" : "+r"(q) : "r"(second), "r"(odd));
    }
    y[i] += SCALED(p, i);
    y[i + 1] += SCALED(q, i + 1);
  }
#endif
#if PLAIN == 1
  for (; i < rows; ++i, w += n) {
    SUM p = 0;
    for (k = 0; k < n; ++k) p += w[k] * x[k];
    y[i] += SCALED(p, i);
  }
#endif
}

#if defined(PLAIN_INT8)
#define INPUT(x, n) \
  static number q_##x[n]; \
  const float s_##x = quantize(q_##x, x, n)
#define GIVEN(x) q_##x, s_##x
#else
#define INPUT(x, n) (void)0
#define GIVEN(x) x, 0
#define W_IH_SCALE 0
#define W_HH_SCALE 0
#define W_SCALE 0
#endif

void plain_reset(void) {
  int i;
  for (i = 0; i < H; ++i) h[i] = 0;
}

static float sigmoid(float x) { return 1 / (1 + expf(-x)); }

static void dense(float *y) {
  int i;
  INPUT(h, H);
  for (i = 0; i < O; ++i) y[i] = BIAS[i];
  add(y, W, W_SCALE, GIVEN(h), O, H);
}

void plain_step(const float *x, float *y) {
  float in[3 * H], state[3 * H];
  int i;
  INPUT(x, I);
  INPUT(h, H);
  for (i = 0; i < 3 * H; ++i) in[i] = BIAS_IH[i];
  for (i = 0; i < 3 * H; ++i) state[i] = i < 2 * H ? 0 : BIAS_HN[i - 2 * H];
  add(in, W_IH, W_IH_SCALE, GIVEN(x), 3 * H, I);
  add(state, W_HH, W_HH_SCALE, GIVEN(h), 3 * H, H);
  for (i = 0; i < H; ++i) {
    const float r = sigmoid(in[i] + state[i]), z = sigmoid(in[H + i] + state[H + i]);
    const float n = tanhf(in[2 * H + i] + r * state[2 * H + i]);
    h[i] = z * h[i] + (1 - z) * n;
  }
  dense(y);
}

/* How many numbers are further from the engine's than rounding takes them. */
uint32_t plain_test(const float *x, const float *expected, uint32_t frames) {
  float y[O];
  uint32_t t, different = 0;
  int i;
  plain_reset();
  for (t = 0; t < frames; ++t) {
    plain_step(x + I * t, y);
    for (i = 0; i < O; ++i) different += !(fabsf(y[i] - expected[O * t + i]) < TOLERANCE);
  }
  return different;
}
