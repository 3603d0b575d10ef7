// SPDX-License-Identifier: Apache-2.0
// The activations of docs/format.md that are no function of functions.c, of one number.

//! gc_relu
GC_INLINE float gc_relu(float x) { return x < 0.0f ? 0.0f : x; }

//! gc_leaky_relu
GC_INLINE float gc_leaky_relu(float x, float slope) { return x < 0.0f ? slope * x : x; }

//! gc_elu
GC_STATIC float gc_elu(float x, float alpha) { return x < 0.0f ? alpha * gc_expm1(x) : x; }

//! gc_clip
GC_INLINE float gc_clip(float x, float least, float most) {
  const float low = x < least ? least : x;
  return low > most ? most : low;
}

//! gc_hard_sigmoid
GC_INLINE float gc_hard_sigmoid(float x, float alpha, float beta) {
  return gc_clip(alpha * x + beta, 0.0f, 1.0f);
}

//! gc_softsign
GC_INLINE float gc_softsign(float x) { return x / (1.0f + gc_abs(x)); }

//! gc_softplus
GC_STATIC float gc_softplus(float x) { return (x < 0.0f ? 0.0f : x) + gc_log1p(gc_exp(-gc_abs(x))); }

//! gc_gelu
GC_STATIC float gc_gelu(float x) { return (0.5f * x) * (1.0f + gc_erf(x * 0x1.6a09e6p-1f)); }

//! gc_gelu_tanh
GC_STATIC float gc_gelu_tanh(float x) {
  const float cube = (x * x) * (0.044715f * x);
  return (0.5f * x) * (1.0f + gc_tanh(0x1.988454p-1f * (x + cube)));
}

//! gc_silu
GC_STATIC float gc_silu(float x) { return x * gc_sigmoid(x); }

//! gc_hard_swish
GC_STATIC float gc_hard_swish(float x) { return x * gc_clip(x * (1.0f / 6.0f) + 0.5f, 0.0f, 1.0f); }

//! gc_scaled_log
GC_STATIC float gc_scaled_log(float x, float least, float factor) { return factor * gc_log(x < least ? least : x); }

//! gc_scaled_log1p
GC_STATIC float gc_scaled_log1p(float x, float least, float factor) {
  return factor * gc_log1p(x < least ? least : x);
}
