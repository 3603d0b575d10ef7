// SPDX-License-Identifier: Apache-2.0
// exp, sigmoid, tanh, expm1, log, log1p, erf: docs/numerics.md, operation by operation.

//! GC_ROUND
#define GC_ROUND 0x1.8p23f

//! GC_ROUND_BIASED
#define GC_ROUND_BIASED (GC_ROUND + 127.0f)

//! gc_power
/* 2^n from what adding a GC_ROUND and a bias has left in the low bits. */
GC_INLINE float gc_power(float rounded) { return gc_float(gc_bits(rounded) << 23); }

//! gc_less_one
/* About exp(r) - 1 for a reduced argument. */
GC_INLINE float gc_less_one(float r) {
  const float r2 = r * r;
  const float c23 = 0x1.555492p-3f * r + 0x1.fffffcp-2f;
  const float c45 = 0x1.1239ccp-7f * r + 0x1.5558d2p-5f;
  const float c456 = 0x1.6a2408p-10f * r2 + c45;
  return r + r2 * (r2 * c456 + c23);
}

//! gc_exp
GC_STATIC float gc_exp(float x) {
  const float rounded = x * 0x1.715476p+0f + GC_ROUND;
  const float n = rounded - GC_ROUND;
  const float p = gc_less_one((x - n * 0x1.62e4p-1f) - (n * 0x1.7f7d1cp-20f + 0x1p-55f));
  if (x < -0x1.5d589ep+6f) return 0.0f;
  if (x < 0x1.62e430p+6f) return gc_float(gc_bits(1.0f + p) + (gc_bits(rounded) << 23));
  return x + gc_float(0x7f800000u);
}

//! gc_sigmoid
/* From 16.64 on it is 1. */
GC_STATIC float gc_sigmoid(float x) {
  const float rounded = x * -0x1.715476p+0f + GC_ROUND_BIASED;
  const float n = rounded - GC_ROUND_BIASED;
  const float p = gc_less_one((n * -0x1.62e4p-1f - x) - (n * 0x1.7f7d1cp-20f + 0x1p-55f));
  const float s = gc_power(rounded);
  const float high = s + 1.0f;
  const float lost = 1.0f - (high - s);
  if (20.0f < x) return 1.0f;
  if (x < -0x1.5d589ep+6f) return 0.0f;
  return 1.0f / (high + (s * p + lost));
}

//! gc_tanh
GC_STATIC float gc_tanh(float x) {
  const float a = gc_abs(x);
  float y;
  if (a > 9.5f) {
    y = 1.0f;
  } else if (a > 0.5625f) {
    const float t = a * (2.0f * 0x1.715476p+0f);
    const float rounded = t + GC_ROUND_BIASED;
    const float f = t - (rounded - GC_ROUND_BIASED);
    const float f2 = f * f;
    const float c23 = 0x1.c6af2ap-5f * f + 0x1.ebfbdap-3f;
    const float c45 = 0x1.5f3f60p-10f * f + 0x1.3b2e34p-7f;
    const float c456 = 0x1.41fce0p-13f * f2 + c45;
    const float p = 0x1.62e430p-1f * f + f2 * (f2 * c456 + c23);
    const float s = gc_power(rounded);
    y = 1.0f - 2.0f / (s * p + (s + 1.0f));
  } else {
    const float base = a < 0x1p-40f ? 0.0f : a;
    const float u = base * base;
    float q = 0x1.09f5b8p-6f * u + -0x1.ae9d06p-5f;
    q = q * u + 0x1.10c650p-3f;
    q = q * u + -0x1.555422p-2f;
    y = gc_flush(a) + (base * u) * q;
  }
  return gc_float(gc_bits(y) | (gc_bits(x) & 0x80000000u));
}

//! gc_expm1
GC_STATIC float gc_expm1(float x) {
  const float round = GC_ROUND + 126.0f;
  float inside = gc_abs(x) < 0x1p-40f ? 0.0f : x, rounded, n, high, low, r, r2, c23, c45, c456, half, y;
  inside = -20.0f > inside ? -20.0f : inside;
  inside = 89.0f < inside ? 89.0f : inside;
  rounded = inside * 0x1.715476p+0f + round;
  n = rounded - round;
  high = inside - n * 0x1.62e4p-1f;
  low = n * 0x1.7f7d1cp-20f;
  r = high - low;
  r2 = r * r;
  c23 = 0x1.5554b0p-3f * r + 0x1.fffffep-2f;
  c45 = 0x1.122878p-7f * r + 0x1.5556c2p-5f;
  c456 = 0x1.6bed6ep-10f * r2 + c45;
  half = gc_power(rounded);
  y = (half - 0.5f) + half * (high + (r2 * (r2 * c456 + c23) - low));
  return gc_abs(x) < 0x1p-40f ? gc_flush(x) : y + y;
}

//! gc_log_split
/* Of a positive normal x = 2^n (1 + f): n + 127 in the exponent's place, and below it what makes 1 + f. */
GC_INLINE uint32_t gc_log_split(float x) { return gc_bits(x) + (0x3f800000u - 0x3f3504f3u); }

//! gc_log_n
GC_INLINE float gc_log_n(uint32_t split) { return gc_float((split >> 23) | 0x4b000000u); }

//! gc_log_f
GC_INLINE float gc_log_f(uint32_t split) { return gc_float((split & 0x007fffffu) + 0x3f3504f3u) - 1.0f; }

//! gc_log_sum
GC_STATIC float gc_log_sum(float n, float f, float low, float base) {
  const float f2 = base * base;
  const float c23 = 0x1.555550p-2f * base + -0x1.fffff8p-2f;
  const float c45 = 0x1.99a3f4p-3f * base + -0x1.000426p-2f;
  const float c67 = 0x1.2271e8p-3f * base + -0x1.542792p-3f;
  const float c89 = 0x1.084934p-3f * base + -0x1.0f37e6p-3f;
  float q = -0x1.383140p-4f * f2 + c89;
  q = q * f2 + c67;
  q = q * f2 + c45;
  q = q * f2 + c23;
  return (f + (f2 * q + (n * 0x1.7f7d1cp-20f + low))) + n * 0x1.62e4p-1f;
}

//! gc_log_edges
GC_STATIC float gc_log_edges(float x, float y) {
  if (x > 0.0f) return gc_bits(x) == 0x7f800000u ? x : y;
  return gc_float(x == 0.0f ? 0xff800000u : 0x7fc00000u);
}

//! gc_log
GC_STATIC float gc_log(float x) {
  const uint32_t is_small = x < 0x1p-126f;
  const uint32_t split = gc_log_split(is_small ? x * 0x1p24f : x);
  const float n = gc_log_n(split) - (is_small ? 0x1p23f + 151.0f : 0x1p23f + 127.0f);
  const float f = gc_log_f(split);
  return gc_log_edges(x, gc_log_sum(n, f, 0.0f, f));
}

//! gc_log1p
GC_STATIC float gc_log1p(float x) {
  const float larger = 1.0f > x ? 1.0f : x, smaller = 1.0f < x ? 1.0f : x;
  const float sum = larger + smaller;
  const float lost = smaller - (sum - larger);
  const uint32_t split = gc_log_split(sum);
  const float low = x > 0x1p60f ? 0.0f : lost * gc_float(0x7f000000u - (split & 0x7f800000u));
  const float f = gc_log_f(split);
  const float whole = f + low;
  const float base = gc_abs(whole) < 0x1p-40f ? 0.0f : whole;
  return gc_log_edges(sum, gc_flush(gc_log_sum(gc_log_n(split) - (0x1p23f + 127.0f), f, low, base)));
}

//! gc_erf
GC_STATIC float gc_erf(float x) {
  const float a = gc_abs(x);
  float y;
  if (a > 0.921875f) {
    const float inside = 4.0f < a ? 4.0f : a;
    const float a2 = inside * inside;
    const float c23 = -0x1.36f3bap-3f * inside + -0x1.d59728p-1f;
    const float c45 = -0x1.2f933ap-8f * inside + 0x1.0e5f3ap-5f;
    const float c456 = 0x1.42ee4ep-12f * a2 + c45;
    const float t = -0x1.a0cae6p+0f * inside + a2 * (a2 * c456 + c23);
    const float rounded = t + GC_ROUND_BIASED;
    const float p = gc_less_one((t - (rounded - GC_ROUND_BIASED)) * 0x1.62e430p-1f);
    const float s = gc_power(rounded);
    y = 1.0f - (s + s * p);
  } else {
    const float base = a < 0x1p-40f ? 0.0f : a;
    const float u = base * base;
    float q = -0x1.3a17f6p-11f * u + 0x1.473b9ap-8f;
    q = q * u + -0x1.b68b5cp-6f;
    q = q * u + 0x1.ce1a70p-4f;
    q = q * u + -0x1.8126e6p-2f;
    q = q * u + 0x1.06eba6p-3f;
    y = gc_flush(a + a * q);
  }
  return gc_float(gc_bits(y) | (gc_bits(x) & 0x80000000u));
}

//! gc_v_less_one
#if GC_VECTORS
GC_INLINE gc_v gc_v_less_one(gc_v r) {
  const gc_v r2 = r * r;
  const gc_v c23 = gc_v_all(0x1.555492p-3f) * r + gc_v_all(0x1.fffffcp-2f);
  const gc_v c45 = gc_v_all(0x1.1239ccp-7f) * r + gc_v_all(0x1.5558d2p-5f);
  const gc_v c456 = gc_v_all(0x1.6a2408p-10f) * r2 + c45;
  return r + r2 * (r2 * c456 + c23);
}
#endif

//! gc_v_sigmoid
#if GC_VECTORS
GC_STATIC gc_v gc_v_sigmoid(gc_v x) {
  const gc_v bias = gc_v_all(GC_ROUND_BIASED), one = gc_v_all(1.0f), most = gc_v_all(20.0f);
  const gc_v inside = gc_v_if_less(most, x, most, x);
  const gc_v rounded = inside * gc_v_all(-0x1.715476p+0f) + bias;
  const gc_v n = rounded - bias;
  const gc_v low = n * gc_v_all(0x1.7f7d1cp-20f) + gc_v_all(0x1p-55f);
  const gc_v p = gc_v_less_one((n * gc_v_all(-0x1.62e4p-1f) - inside) - low);
  const gc_v s = (gc_v)((gc_w)rounded << gc_w_all(23));
  const gc_v high = s + one;
  const gc_v lost = one - (high - s);
  const gc_v y = gc_v_over(one, high + (s * p + lost));
  return gc_v_if_less(x, gc_v_all(-0x1.5d589ep+6f), gc_v_all(0.0f), y);
}
#endif

//! gc_v_tanh
#if GC_VECTORS
GC_STATIC gc_v gc_v_tanh(gc_v x) {
  const gc_v a = gc_v_abs(x), most = gc_v_all(9.5f), half = gc_v_all(0.5f), bias = gc_v_all(GC_ROUND_BIASED);
  const gc_v bounded = gc_v_if_less(most, a, most, a);
  const gc_v inside = gc_v_if_less(bounded, half, half, bounded);
  const gc_v t = inside * gc_v_all(2.0f * 0x1.715476p+0f);
  const gc_v rounded = t + bias;
  const gc_v f = t - (rounded - bias);
  const gc_v f2 = f * f;
  const gc_v c23 = gc_v_all(0x1.c6af2ap-5f) * f + gc_v_all(0x1.ebfbdap-3f);
  const gc_v c45 = gc_v_all(0x1.5f3f60p-10f) * f + gc_v_all(0x1.3b2e34p-7f);
  const gc_v c456 = gc_v_all(0x1.41fce0p-13f) * f2 + c45;
  const gc_v p = gc_v_all(0x1.62e430p-1f) * f + f2 * (f2 * c456 + c23);
  const gc_v s = (gc_v)((gc_w)rounded << gc_w_all(23));
  const gc_v large = gc_v_all(1.0f) - gc_v_over(gc_v_all(2.0f), s * p + (s + gc_v_all(1.0f)));
  const gc_v base = gc_v_if_less(a, gc_v_all(0x1p-40f), gc_v_all(0.0f), a);
  const gc_v u = base * base;
  gc_v q = gc_v_all(0x1.09f5b8p-6f) * u + gc_v_all(-0x1.ae9d06p-5f);
  q = q * u + gc_v_all(0x1.10c650p-3f);
  q = q * u + gc_v_all(-0x1.555422p-2f);
  q = gc_v_flush(a) + (base * u) * q;
  q = gc_v_if_less(gc_v_all(0.5625f), a, large, q);
  return (gc_v)((gc_w)q | ((gc_w)x & gc_w_all(0x80000000u)));
}
#endif
