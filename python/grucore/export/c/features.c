// SPDX-License-Identifier: Apache-2.0
// Over the features of one frame: sums in sixteen parts, softmax, layer normalisation.

//! gc_sum
/* Of x, or of its squares: part i mod 16 takes feature i, joined as 8-4-2-1. */
GC_STATIC float gc_sum(const float *x, uint32_t count, uint32_t squares) {
  float parts[16];
  uint32_t i, half;
  for (i = 0; i < 16; ++i) parts[i] = 0.0f;
  for (i = 0; i < count; ++i) {
    const float term = squares ? x[i] * x[i] : x[i];
    parts[i & 15u] = parts[i & 15u] + term;
  }
  for (half = 8; half; half >>= 1) {
    for (i = 0; i < half; ++i) parts[i] = parts[i] + parts[i + half];
  }
  return parts[0];
}

//! gc_softmax
GC_STATIC void gc_softmax(float *y, const float *x, uint32_t count) {
  float most = x[0], total;
  uint32_t i;
  for (i = 1; i < count; ++i) most = x[i] > most ? x[i] : most;
  for (i = 0; i < count; ++i) y[i] = gc_exp(x[i] - most);
  total = gc_sum(y, count, 0);
  for (i = 0; i < count; ++i) y[i] = gc_flush(y[i] / total);
}

//! gc_log_softmax
GC_STATIC void gc_log_softmax(float *y, const float *x, uint32_t count) {
  float most = x[0], total;
  uint32_t i;
  for (i = 1; i < count; ++i) most = x[i] > most ? x[i] : most;
  for (i = 0; i < count; ++i) y[i] = gc_exp(x[i] - most);
  total = gc_log(gc_sum(y, count, 0));
  for (i = 0; i < count; ++i) y[i] = gc_flush((x[i] - most) - total);
}

//! gc_layer_norm
GC_STATIC void gc_layer_norm(float *y, const float *x, const float *scale, const float *shift, uint32_t count,
                          float epsilon) {
  const float mean = gc_sum(x, count, 0) / (float)count;
  float deviation;
  uint32_t i;
  for (i = 0; i < count; ++i) y[i] = x[i] - mean;
  deviation = gc_sqrt(gc_sum(y, count, 1) / (float)count + epsilon);
  for (i = 0; i < count; ++i) {
    const float scaled = (y[i] / deviation) * scale[i];
    y[i] = gc_flush(scaled + shift[i]);
  }
}
