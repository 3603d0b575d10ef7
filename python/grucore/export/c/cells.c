// SPDX-License-Identifier: Apache-2.0
// Four units of a recurrent layer from their sums, with the usual activations: sigmoid and tanh.

//! gc_gru_cell
/* Reset-after. sums: four of n, r, z and of the recurrent part of n. */
#if GC_VECTORS
GC_STATIC void gc_gru_cell(float *y, const float *h, const float *sums) {
  const gc_v r = gc_v_sigmoid(gc_v_load(sums + 4)), z = gc_v_sigmoid(gc_v_load(sums + 8));
  const gc_v reset = r * gc_v_load(sums + 12);
  const gc_v n = gc_v_tanh(gc_v_load(sums) + reset);
  const gc_v kept = z * gc_v_load(h), taken = (gc_v_all(1.0f) - z) * n;
  gc_v_store(y, gc_v_flush(kept + taken));
}
#else
GC_STATIC void gc_gru_cell(float *y, const float *h, const float *sums) {
  uint32_t i;
  for (i = 0; i < 4; ++i) {
    const float r = gc_sigmoid(sums[4 + i]), z = gc_sigmoid(sums[8 + i]);
    const float reset = r * sums[12 + i];
    const float n = gc_tanh(sums[i] + reset);
    const float kept = z * h[i], taken = (1.0f - z) * n;
    y[i] = gc_flush(kept + taken);
  }
}
#endif

//! gc_lstm_cell
/* sums: four of i, f, g and o; c is moved on. */
#if GC_VECTORS
GC_STATIC void gc_lstm_cell(float *y, float *c, const float *sums) {
  const gc_v kept = gc_v_sigmoid(gc_v_load(sums + 4)) * gc_v_load(c);
  const gc_v taken = gc_v_sigmoid(gc_v_load(sums)) * gc_v_tanh(gc_v_load(sums + 8));
  const gc_v next = gc_v_flush(kept + taken);
  gc_v_store(c, next);
  gc_v_store(y, gc_v_flush(gc_v_sigmoid(gc_v_load(sums + 12)) * gc_v_tanh(next)));
}
#else
GC_STATIC void gc_lstm_cell(float *y, float *c, const float *sums) {
  uint32_t i;
  for (i = 0; i < 4; ++i) {
    const float kept = gc_sigmoid(sums[4 + i]) * c[i];
    const float taken = gc_sigmoid(sums[i]) * gc_tanh(sums[8 + i]);
    c[i] = gc_flush(kept + taken);
    y[i] = gc_flush(gc_sigmoid(sums[12 + i]) * gc_tanh(c[i]));
  }
}
#endif
