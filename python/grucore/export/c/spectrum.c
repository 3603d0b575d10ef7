// SPDX-License-Identifier: Apache-2.0
// Spectra: passes over the columns of a matrix of complex numbers, real and imaginary part side by side.
//
// A pass makes of each column x, in rows of `stride` numbers, `rest` butterflies whose inputs stand `rest` rows apart.

//! gc_fft_put
/* A number times a root, or as it is. */
GC_ALWAYS void gc_fft_put(float* y, float r, float i, float root_r, float root_i, uint32_t turned) {
  if (turned) {
    const float rr = r * root_r, ii = i * root_i, ri = r * root_i, ir = i * root_r;
    y[0] = rr - ii;
    y[1] = ri + ir;
  } else {
    y[0] = r;
    y[1] = i;
  }
}

//! gc_fft2
GC_STATIC void gc_fft2(float* y, const float* x, uint32_t stride, uint32_t rest, const float* roots, uint32_t length,
                       uint32_t step) {
  const uint32_t row = 2 * stride;
  uint32_t g, q;
  for (g = 0; g < rest; ++g, roots += step, y += row) {
    const float r1 = roots[0], i1 = roots[length];
    for (q = 0; q < stride; ++q, x += 2, y += 2) {
      const float* b = x + row * rest;
      const float r = x[0] - b[0], i = x[1] - b[1];
      y[0] = x[0] + b[0];
      y[1] = x[1] + b[1];
      gc_fft_put(y + row, r, i, r1, i1, g);
    }
  }
}

//! gc_fft3
GC_STATIC void gc_fft3(float* y, const float* x, uint32_t stride, uint32_t rest, const float* roots, uint32_t length,
                       uint32_t step) {
  const uint32_t row = 2 * stride;
  uint32_t g, q;
  for (g = 0; g < rest; ++g, y += 2 * row) {
    const float *root = roots + g * step, *second = root + g * step;
    const float r1 = root[0], i1 = root[length], r2 = second[0], i2 = second[length];
    for (q = 0; q < stride; ++q, x += 2, y += 2) {
      const float *b = x + row * rest, *c = b + row * rest;
      const float sum_r = b[0] + c[0], sum_i = b[1] + c[1];
      const float r = 0x1.bb67aep-1f * (b[0] - c[0]), i = 0x1.bb67aep-1f * (b[1] - c[1]);
      const float half_r = 0.5f * sum_r, half_i = 0.5f * sum_i;
      const float mid_r = x[0] - half_r, mid_i = x[1] - half_i;
      y[0] = x[0] + sum_r;
      y[1] = x[1] + sum_i;
      gc_fft_put(y + row, mid_r + i, mid_i - r, r1, i1, g);
      gc_fft_put(y + 2 * row, mid_r - i, mid_i + r, r2, i2, g);
    }
  }
}

//! gc_fft4
GC_STATIC void gc_fft4(float* y, const float* x, uint32_t stride, uint32_t rest, const float* roots, uint32_t length,
                       uint32_t step) {
  const uint32_t row = 2 * stride;
  uint32_t g, q;
  for (g = 0; g < rest; ++g, y += 3 * row) {
    const float *root = roots + g * step, *second = root + g * step, *third = second + g * step;
    const float r1 = root[0], i1 = root[length], r2 = second[0], i2 = second[length];
    const float r3 = third[0], i3 = third[length];
    for (q = 0; q < stride; ++q, x += 2, y += 2) {
      const float *b = x + row * rest, *c = b + row * rest, *d = c + row * rest;
      const float even_r = x[0] + c[0], even_i = x[1] + c[1], far_r = x[0] - c[0], far_i = x[1] - c[1];
      const float odd_r = b[0] + d[0], odd_i = b[1] + d[1], near_r = b[0] - d[0], near_i = b[1] - d[1];
      y[0] = even_r + odd_r;
      y[1] = even_i + odd_i;
      gc_fft_put(y + row, far_r + near_i, far_i - near_r, r1, i1, g);
      gc_fft_put(y + 2 * row, even_r - odd_r, even_i - odd_i, r2, i2, g);
      gc_fft_put(y + 3 * row, far_r - near_i, far_i + near_r, r3, i3, g);
    }
  }
}

//! gc_fft_mixed
GC_INLINE float gc_fft_mixed(float a, float x, float b, float y) {
  const float ax = a * x, by = b * y;
  return ax + by;
}

//! gc_fft5
GC_STATIC void gc_fft5(float* y, const float* x, uint32_t stride, uint32_t rest, const float* roots, uint32_t length,
                       uint32_t step) {
  const float c1 = 0x1.3c6ef4p-2f, c2 = -0x1.9e377ap-1f, s1 = 0x1.e6f0e2p-1f, s2 = 0x1.2cf230p-1f;
  const uint32_t row = 2 * stride;
  uint32_t g, q;
  for (g = 0; g < rest; ++g, y += 4 * row) {
    const float *w1 = roots + g * step, *w2 = w1 + g * step, *w3 = w2 + g * step, *w4 = w3 + g * step;
    for (q = 0; q < stride; ++q, x += 2, y += 2) {
      const float *b = x + row * rest, *c = b + row * rest, *d = c + row * rest, *e = d + row * rest;
      const float sum1_r = b[0] + e[0], sum1_i = b[1] + e[1], sum2_r = c[0] + d[0], sum2_i = c[1] + d[1];
      const float dif1_r = b[0] - e[0], dif1_i = b[1] - e[1], dif2_r = c[0] - d[0], dif2_i = c[1] - d[1];
      const float mid1_r = x[0] + gc_fft_mixed(c1, sum1_r, c2, sum2_r);
      const float mid1_i = x[1] + gc_fft_mixed(c1, sum1_i, c2, sum2_i);
      const float mid2_r = x[0] + gc_fft_mixed(c2, sum1_r, c1, sum2_r);
      const float mid2_i = x[1] + gc_fft_mixed(c2, sum1_i, c1, sum2_i);
      const float far1_r = gc_fft_mixed(s1, dif1_r, s2, dif2_r), far1_i = gc_fft_mixed(s1, dif1_i, s2, dif2_i);
      const float far2_r = gc_fft_mixed(s2, dif1_r, -s1, dif2_r), far2_i = gc_fft_mixed(s2, dif1_i, -s1, dif2_i);
      y[0] = x[0] + (sum1_r + sum2_r);
      y[1] = x[1] + (sum1_i + sum2_i);
      gc_fft_put(y + row, mid1_r + far1_i, mid1_i - far1_r, w1[0], w1[length], g);
      gc_fft_put(y + 2 * row, mid2_r + far2_i, mid2_i - far2_r, w2[0], w2[length], g);
      gc_fft_put(y + 3 * row, mid2_r - far2_i, mid2_i + far2_r, w3[0], w3[length], g);
      gc_fft_put(y + 4 * row, mid1_r - far1_i, mid1_i + far1_r, w4[0], w4[length], g);
    }
  }
}

//! gc_fft_turn
/* The matrix turned over, each number times its root: those of the first row and of the first column are 1. */
GC_STATIC void gc_fft_turn(float* y, const float* x, uint32_t rows, uint32_t columns, const float* roots,
                           uint32_t length, uint32_t step) {
  uint32_t row, column;
  for (row = 0; row < rows; ++row) {
    const float* root = roots;
    float* to = y + 2 * row;
    gc_fft_put(to, x[0], x[1], 1.0f, 0.0f, 0);
    for (column = 1, x += 2; column < columns; ++column, x += 2) {
      to += 2 * rows;
      root += row * step;
      gc_fft_put(to, x[0], x[1], root[0], root[length], row);
    }
  }
}

//! gc_fft_bins
/* Twice bins k and n - k of the samples, of which the even ones are real parts and the odd ones imaginary parts of
   the numbers a and b, at k and n - k. Root n - k mirrors root k. */
GC_INLINE void gc_fft_bins(float* bins, const float* a, const float* b, float root_r, float root_i) {
  const float sum_r = a[0] + b[0], dif_i = a[1] - b[1], odd_r = a[1] + b[1], odd_i = b[0] - a[0];
  float turned[2];
  gc_fft_put(turned, odd_r, odd_i, root_r, root_i, 1);
  bins[0] = sum_r + turned[0];
  bins[1] = dif_i + turned[1];
  bins[2] = sum_r - turned[0];
  bins[3] = turned[1] - dif_i;
}

//! gc_ifft_number
/* Number k of the n whose transform has the samples two by two, both parts in the other's place, of bins k and n - k.
 */
GC_INLINE void gc_ifft_number(float* z, float a_r, float a_i, float b_r, float b_i, float root_r, float root_i) {
  gc_fft_put(z, a_r - b_r, 0.0f - (a_i + b_i), root_r, root_i, 1);
  z[0] = (a_i - b_i) + z[0];
  z[1] = (a_r + b_r) + z[1];
}

//! gc_overlap_add
/* A frame times its window on top of what earlier frames have left. */
GC_STATIC void gc_overlap_add(float* y, float* past, const float* x, const float* weight, uint32_t samples,
                              uint32_t hop) {
  uint32_t i;
  for (i = 0; i < samples; ++i) {
    float sum = gc_flush(x[i] * weight[i]);
    if (i + hop < samples) sum = gc_flush(past[i] + sum);
    if (i < hop) {
      y[i] = sum;
    } else {
      past[i - hop] = sum;
    }
  }
}

//! gc_filterbank
/* Sums over bands: first and count of each. */
GC_STATIC void gc_filterbank(float* y, const float* x, const int32_t* bands, const float* weight, uint32_t count) {
  uint32_t i;
  for (i = 0; i < count; ++i, bands += 2) {
    const float *from = x + bands[0], *end = from + bands[1];
    float sum = 0.0f;
    if (from != end) {
      do {
        const float term = *weight++ * *from++;
        sum = sum + term;
      } while (from != end);
    }
    y[i] = gc_flush(sum);
  }
}
