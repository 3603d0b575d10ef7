// SPDX-License-Identifier: Apache-2.0
// Frames as whole numbers, in the order in which products read them.

//! GC_DSP
/* Instructions of a Cortex-M that multiply pairs of 16 bits. */
#if defined(__thumb2__) && defined(__ARM_FEATURE_DSP) && !defined(__ARM_FEATURE_MVE) && !defined(__ARM_NEON)
#define GC_DSP 1
#else
#define GC_DSP 0
#endif

//! GC_PLACE
/* Where activation i stands among the quantized ones: as pairs of bytes become pairs of 16 bits. */
#if GC_DSP
#define GC_PLACE(i) (((i) & ~3u) | ((i) << 1 & 2u) | ((i) >> 1 & 1u))
#else
#define GC_PLACE(i) (i)
#endif

//! gc_level
/* The nearest whole number, ties to even, of |v| < 2^22, in 16 bits. */
GC_INLINE int16_t gc_level(float v) { return (int16_t)(int32_t)(gc_bits(v + GC_ROUND) - gc_bits(GC_ROUND)); }

//! gc_largest
/* The bits of the largest magnitude: those of an infinity or more where one is not finite. */
GC_STATIC uint32_t gc_largest(const float *x, uint32_t count) {
  uint32_t most = 0;
  if (count & 1u) most = gc_bits(*x++) & 0x7fffffffu;
  for (count >>= 1; count; --count, x += 2) {
    const uint32_t one = gc_bits(x[0]) & 0x7fffffffu, other = gc_bits(x[1]) & 0x7fffffffu;
    if (one > most) most = one;
    if (other > most) most = other;
  }
  return most;
}

//! gc_nothing
/* The scale of activations that are all 0, or not all finite: then NaN. */
GC_STATIC float gc_nothing(int16_t *q, uint32_t padded, uint32_t most) {
  uint32_t i;
  for (i = 0; i < padded; ++i) q[i] = 0;
  return most >= 0x7f800000u ? gc_float(0x7fc00000u) : 0.0f;
}

//! gc_quantize
/* Activations as whole numbers up to `levels`, zeros up to `padded`; returns what they are multiples of, NaN where
   one is not finite. Their range is the largest magnitude, at least `least`: so none is beyond it. */
GC_STATIC float gc_quantize(int16_t *q, const float *x, uint32_t count, uint32_t padded, float levels, float least) {
  const uint32_t most = gc_largest(x, count);
  const float range = gc_float(most) < least ? least : gc_float(most);
  const float inverse = levels / range;
  uint32_t i = 0;
  if (most >= 0x7f800000u || range < 0x1p-100f) return gc_nothing(q, padded, most);
  for (; i + 4 <= count; i += 4, x += 4, q += 4) {
    q[GC_PLACE(0u)] = gc_level(x[0] * inverse);
    q[GC_PLACE(1u)] = gc_level(x[1] * inverse);
    q[GC_PLACE(2u)] = gc_level(x[2] * inverse);
    q[GC_PLACE(3u)] = gc_level(x[3] * inverse);
  }
  padded -= i;
  count -= i;
  for (i = 0; i < padded; ++i) q[GC_PLACE(i)] = i < count ? gc_level(x[i] * inverse) : (int16_t)0;
  return range / levels;
}

//! gc_quantize_fixed
/* The same with a given range, which some may be beyond. */
GC_STATIC float gc_quantize_fixed(int16_t *q, const float *x, uint32_t count, uint32_t padded, float levels,
                               float range) {
  const uint32_t most = gc_largest(x, count);
  const float inverse = levels / range;
  uint32_t i;
  if (most >= 0x7f800000u || range < 0x1p-100f) return gc_nothing(q, padded, most);
  for (i = 0; i < padded; ++i) {
    float v = i < count ? x[i] * inverse : 0.0f;
    v = levels < v ? levels : v;
    v = -levels > v ? -levels : v;
    q[GC_PLACE(i)] = gc_level(v);
  }
  return range / levels;
}
