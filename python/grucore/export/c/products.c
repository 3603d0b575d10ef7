// SPDX-License-Identifier: Apache-2.0
// Products of weights with one frame, four rows (a panel) at a time: grucore/export/packing.py has the layouts.

//! gc_product_f32
/* Goes on with the chains y, four for each panel: y + w x, inputs ascending. */
static void gc_product_f32(float *y, const float *w, const float *x, uint32_t inputs, uint32_t panels) {
  for (; panels; --panels, y += 4) {
    float a = y[0], b = y[1], c = y[2], d = y[3];
    uint32_t i;
    for (i = 0; i < inputs; ++i, w += 4) {
      const float v = x[i];
      a = gc_madd(w[0], v, a);
      b = gc_madd(w[1], v, b);
      c = gc_madd(w[2], v, c);
      d = gc_madd(w[3], v, d);
    }
    y[0] = a;
    y[1] = b;
    y[2] = c;
    y[3] = d;
  }
}

//! gc_product_f16
/* The same of halves, which are exact as floats. */
static void gc_product_f16(float *y, const uint16_t *w, const float *x, uint32_t inputs, uint32_t panels) {
  for (; panels; --panels, y += 4) {
    float a = y[0], b = y[1], c = y[2], d = y[3];
    uint32_t i;
    for (i = 0; i < inputs; ++i, w += 4) {
      const float v = x[i];
      a = gc_madd(gc_half(w[0]), v, a);
      b = gc_madd(gc_half(w[1]), v, b);
      c = gc_madd(gc_half(w[2]), v, c);
      d = gc_madd(gc_half(w[3]), v, d);
    }
    y[0] = a;
    y[1] = b;
    y[2] = c;
    y[3] = d;
  }
}

//! GC_PLACE
/* Where activation i stands among the quantized ones. */
#define GC_PLACE(i) (i)

//! gc_quantize
/* Activations as whole numbers within +-levels, zeros up to `padded`; returns what they are multiples of: NaN
   where one is not finite. `fixed`: the range, or 0 for the largest magnitude, at least `least`. */
static float gc_quantize(int16_t *q, const float *x, uint32_t count, uint32_t padded, float levels, float least,
                         float fixed) {
  uint32_t most = 0, i;
  float range, inverse;
  for (i = 0; i < count; ++i) {
    const uint32_t magnitude = gc_bits(x[i]) & 0x7fffffffu;
    if (magnitude > most) most = magnitude;
  }
  for (i = count & ~3u; i < padded; ++i) q[i] = 0;
  range = fixed > 0.0f ? fixed : gc_float(most);
  range = range < least ? least : range;
  if (most >= 0x7f800000u || range < 0x1p-100f) {
    for (i = 0; i < count; ++i) q[i] = 0;
    return most >= 0x7f800000u ? gc_float(0x7fc00000u) : 0.0f;
  }
  inverse = levels / range;
  for (i = 0; i < count; ++i) {
    float v = x[i] * inverse;
    v = levels < v ? levels : v;
    v = -levels > v ? -levels : v;
    q[GC_PLACE(i)] = (int16_t)(int32_t)(gc_bits(v + GC_ROUND) - gc_bits(GC_ROUND));
  }
  return range / levels;
}

//! gc_sums_i8
/* The sums of a panel over so many inputs, a multiple of 4, at most 1024: exact. Returns the end of the weights. */
static const int8_t *gc_sums_i8(int32_t *sums, const int8_t *w, const int16_t *q, uint32_t inputs) {
  int32_t a = 0, b = 0, c = 0, d = 0;
  uint32_t i, width;
  for (; inputs; inputs -= width, q += width, w += 4 * width) {
    width = inputs >= 8 ? 8 : 4;
    for (i = 0; i < width; ++i) {
      const int32_t v = q[i];
      a += w[i] * v;
      b += w[width + i] * v;
      c += w[2 * width + i] * v;
      d += w[3 * width + i] * v;
    }
  }
  sums[0] = a;
  sums[1] = b;
  sums[2] = c;
  sums[3] = d;
  return w;
}

//! gc_product_i8
/* y + (sum * s) * scale, four rows for each panel; at most 1024 inputs. */
static void gc_product_i8(float *y, const int8_t *w, const float *scale, const int16_t *q, float s, uint32_t inputs,
                          uint32_t panels) {
  uint32_t row;
  for (; panels; --panels, y += 4, scale += 4) {
    int32_t sums[4];
    w = gc_sums_i8(sums, w, q, inputs);
    for (row = 0; row < 4; ++row) {
      const float part = ((float)sums[row] * s) * scale[row];
      y[row] = y[row] + part;
    }
  }
}

//! gc_product_i8_long
/* The same of any number of inputs: what each 1024 of them sum to is exact, and added as floats. */
static void gc_product_i8_long(float *y, const int8_t *w, const float *scale, const int16_t *q, float s,
                               uint32_t inputs, uint32_t panels) {
  uint32_t row, first;
  for (; panels; --panels, y += 4, scale += 4) {
    float total[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (first = 0; first < inputs; first += 1024) {
      int32_t sums[4];
      w = gc_sums_i8(sums, w, q + first, inputs - first < 1024 ? inputs - first : 1024);
      for (row = 0; row < 4; ++row) total[row] = total[row] + (float)sums[row];
    }
    for (row = 0; row < 4; ++row) {
      const float part = (total[row] * s) * scale[row];
      y[row] = y[row] + part;
    }
  }
}

//! gc_sums_i4
/* The same as gc_sums_i8 of halves of bytes, a multiple of 8 inputs, at most 32. */
static const uint8_t *gc_sums_i4(int32_t *sums, const uint8_t *w, const int16_t *q, uint32_t inputs) {
  uint32_t row, i;
  for (row = 0; row < 4; ++row) sums[row] = 0;
  for (; inputs; inputs -= 8, q += 8) {
    for (row = 0; row < 4; ++row, w += 4) {
      int32_t sum = 0;
      for (i = 0; i < 4; ++i) {
        sum += ((int32_t)(w[i] & 15u) - (int32_t)(w[i] << 1 & 16u)) * q[i];
        sum += ((int32_t)(w[i] >> 4) - (int32_t)(w[i] >> 3 & 16u)) * q[4 + i];
      }
      sums[row] += sum;
    }
  }
  return w;
}

//! gc_product_i4
/* y + total * s: the exact sum of each 32 inputs times its scale, a half, is added to the total. */
static void gc_product_i4(float *y, const uint8_t *w, const uint16_t *scale, const int16_t *q, float s,
                          uint32_t inputs, uint32_t panels) {
  uint32_t row, first;
  for (; panels; --panels, y += 4) {
    float total[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (first = 0; first < inputs; first += 32, scale += 4) {
      int32_t sums[4];
      w = gc_sums_i4(sums, w, q + first, inputs - first < 32 ? inputs - first : 32);
      for (row = 0; row < 4; ++row) {
        const float part = (float)sums[row] * gc_half(scale[row]);
        total[row] = total[row] + part;
      }
    }
    for (row = 0; row < 4; ++row) {
      const float part = total[row] * s;
      y[row] = y[row] + part;
    }
  }
}

//! gc_rows_f32
/* y + w x of a few rows, one after the other. */
static void gc_rows_f32(float *y, const float *w, const float *x, uint32_t inputs, uint32_t rows) {
  uint32_t i;
  for (; rows; --rows, ++y, w += inputs) {
    float sum = *y;
    for (i = 0; i < inputs; ++i) sum = gc_madd(w[i], x[i], sum);
    *y = sum;
  }
}

//! gc_rows_f16
static void gc_rows_f16(float *y, const uint16_t *w, const float *x, uint32_t inputs, uint32_t rows) {
  uint32_t i;
  for (; rows; --rows, ++y, w += inputs) {
    float sum = *y;
    for (i = 0; i < inputs; ++i) sum = gc_madd(gc_half(w[i]), x[i], sum);
    *y = sum;
  }
}

//! gc_rows_i8
static void gc_rows_i8(float *y, const int8_t *w, const float *scale, const int16_t *q, float s, uint32_t inputs,
                       uint32_t rows) {
  uint32_t i, first;
  for (; rows; --rows, ++y, ++scale, w += inputs) {
    float total = 0.0f, part;
    for (first = 0; first < inputs; first += 1024) {
      const uint32_t end = inputs - first < 1024 ? inputs : first + 1024;
      int32_t sum = 0;
      for (i = first; i < end; ++i) sum += w[i] * q[GC_PLACE(i)];
      total = total + (float)sum;
    }
    part = (total * s) * *scale;
    *y = *y + part;
  }
}

//! gc_rows_i4
/* One weight in each byte. */
static void gc_rows_i4(float *y, const int8_t *w, const uint16_t *scale, const int16_t *q, float s, uint32_t inputs,
                       uint32_t rows) {
  uint32_t i, first;
  for (; rows; --rows, ++y, w += inputs) {
    float total = 0.0f, part;
    for (first = 0; first < inputs; first += 32, ++scale) {
      const uint32_t end = inputs - first < 32 ? inputs : first + 32;
      int32_t sum = 0;
      for (i = first; i < end; ++i) sum += w[i] * q[GC_PLACE(i)];
      part = (float)sum * gc_half(*scale);
      total = total + part;
    }
    part = total * s;
    *y = *y + part;
  }
}
