// SPDX-License-Identifier: Apache-2.0
// Over the features of one frame: sums in sixteen parts, softmax, layer normalisation.

//! gc_joined
/* Sixteen parts of a sum, joined as 8-4-2-1. */
GC_STATIC float gc_joined(float *parts) {
  uint32_t i, half;
  for (half = 8; half; half >>= 1) {
    for (i = 0; i < half; ++i) parts[i] = parts[i] + parts[i + half];
  }
  return parts[0];
}

//! gc_sum
/* Of x, or of its squares: part i mod 16 takes feature i. */
GC_STATIC float gc_sum(const float *x, uint32_t count, uint32_t squares) {
  float parts[16];
  uint32_t i;
  for (i = 0; i < 16; ++i) parts[i] = 0.0f;
  for (i = 0; i < count; ++i) {
    const float term = squares ? x[i] * x[i] : x[i];
    parts[i & 15u] = parts[i & 15u] + term;
  }
  return gc_joined(parts);
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

//! gc_dot
/* Of a query and a key: chain i mod 16 takes feature i. */
GC_STATIC float gc_dot(const float *query, const float *key, uint32_t count) {
  float parts[16];
  uint32_t i;
  for (i = 0; i < 16; ++i) parts[i] = 0.0f;
  for (i = 0; i < count; ++i) parts[i & 15u] = gc_madd(query[i], key[i], parts[i & 15u]);
  return gc_joined(parts);
}

//! gc_additive
/* The same of a vector and the tanh of both. */
GC_STATIC float gc_additive(const float *query, const float *key, const float *vector, uint32_t count) {
  float parts[16];
  uint32_t i;
  for (i = 0; i < 16; ++i) parts[i] = 0.0f;
  for (i = 0; i < count; ++i) {
    parts[i & 15u] = gc_madd(vector[i], gc_flush(gc_tanh(query[i] + key[i])), parts[i & 15u]);
  }
  return gc_joined(parts);
}

//! gc_counted
/* The frames of a memory that a length means. */
GC_STATIC uint32_t gc_counted(float length, uint32_t frames) {
  if (!(length >= 1.0f)) return 0;
  return length >= (float)frames ? frames : (uint32_t)length;
}

//! gc_weigh
/* The values by the softmax of their scores; zeros where there are none. */
GC_STATIC void gc_weigh(float *y, float *scores, const float *values, uint32_t stride, uint32_t width, uint32_t n) {
  uint32_t i, j;
  for (i = 0; i < width; ++i) y[i] = 0.0f;
  if (!n) return;
  gc_softmax(scores, scores, n);
  for (j = 0; j < n; ++j) {
    for (i = 0; i < width; ++i) y[i] = gc_madd(scores[j], values[stride * j + i], y[i]);
  }
  gc_flushed(y, y, width);
}
