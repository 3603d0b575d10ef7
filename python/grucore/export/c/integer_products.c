// SPDX-License-Identifier: Apache-2.0
// Products of int8 and int4 weights with a quantized frame, four rows (a panel) at a time.

//! GC_PAIRS
/* Vectors in which pairs of 16 bits are multiplied and added. */
#if defined(__wasm_simd128__)
#include <wasm_simd128.h>
#define GC_PAIRS 1
typedef v128_t gc_pairs_q;
typedef v128_t gc_pairs_sum;
#define GC_PAIRS_ZERO wasm_i32x4_const(0, 0, 0, 0)
#define GC_PAIRS_LOAD(q) wasm_v128_load(q)
#define GC_PAIRS_ADD(sum, w, v) wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(wasm_i16x8_load8x8(w), v))
#define GC_PAIRS_SUM(sum) \
  (wasm_i32x4_extract_lane(sum, 0) + wasm_i32x4_extract_lane(sum, 1) + wasm_i32x4_extract_lane(sum, 2) + \
   wasm_i32x4_extract_lane(sum, 3))
#elif defined(__aarch64__) || (defined(__ARM_NEON) && defined(__GNUC__))
#include <arm_neon.h>
#define GC_PAIRS 1
typedef int16x8_t gc_pairs_q;
typedef int32x4_t gc_pairs_sum;
#define GC_PAIRS_ZERO vdupq_n_s32(0)
#define GC_PAIRS_LOAD(q) vld1q_s16(q)
GC_INLINE int32x4_t gc_pairs_add(int32x4_t sum, int16x8_t w, int16x8_t v) {
  return vmlal_s16(vmlal_s16(sum, vget_low_s16(w), vget_low_s16(v)), vget_high_s16(w), vget_high_s16(v));
}
#define GC_PAIRS_ADD(sum, w, v) gc_pairs_add(sum, vmovl_s8(vld1_s8(w)), v)
#define GC_PAIRS_SUM(sum) \
  (vgetq_lane_s32(sum, 0) + vgetq_lane_s32(sum, 1) + vgetq_lane_s32(sum, 2) + vgetq_lane_s32(sum, 3))
#elif defined(__SSE2__)
#include <emmintrin.h>
#define GC_PAIRS 1
typedef __m128i gc_pairs_q;
typedef __m128i gc_pairs_sum;
#define GC_PAIRS_ZERO _mm_setzero_si128()
GC_INLINE __m128i gc_pairs_load(const int16_t *q) {
  __m128i v;
  GC_COPY(&v, q, sizeof v);
  return v;
}
GC_INLINE __m128i gc_pairs_wide(const int8_t *w) {
  int64_t eight;
  GC_COPY(&eight, w, sizeof eight);
  return _mm_srai_epi16(_mm_unpacklo_epi8(_mm_setzero_si128(), _mm_set_epi64x(0, eight)), 8);
}
GC_INLINE int32_t gc_pairs_total(__m128i sum) {
  int32_t lanes[4];
  GC_COPY(lanes, &sum, sizeof lanes);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}
#define GC_PAIRS_LOAD(q) gc_pairs_load(q)
#define GC_PAIRS_ADD(sum, w, v) _mm_add_epi32(sum, _mm_madd_epi16(gc_pairs_wide(w), v))
#define GC_PAIRS_SUM(sum) gc_pairs_total(sum)
#else
#define GC_PAIRS 0
#endif

//! GC_DSP_ROW
/* The four weights of a row in p, times two pairs of activations. */
#define GC_DSP_ROW(sum) \
  "sxtb16 %[e], %[p]\n" \
  "sxtb16 %[p], %[p], ror #8\n" \
  "smlad " sum ", %[e], %[even], " sum "\n" \
  "smlad " sum ", %[p], %[odd], " sum "\n"

//! GC_DSP_FOUR
/* Four inputs of four rows, whose weights stand at these places; the first one may move on. */
#define GC_DSP_FOUR(a, b, c, d) \
  "ldrd %[even], %[odd], [%[q]], #8\n" \
  "ldr %[p], [%[w]" a "\n" GC_DSP_ROW("%[s0]") \
  "ldr %[p], [%[w], #" b "]\n" GC_DSP_ROW("%[s1]") \
  "ldr %[p], [%[w], #" c "]\n" GC_DSP_ROW("%[s2]") \
  "ldr %[p], [%[w], #" d "]\n" GC_DSP_ROW("%[s3]")

//! gc_sums_i8
/* The sums of a panel over so many inputs, a multiple of 4, at most 1024: exact. Returns the end of the weights. */
#if GC_MVE
GC_INLINE const int8_t *gc_sums_i8(int32_t *sums, const int8_t *w, const int16_t *q, uint32_t inputs) {
  int32_t a = 0, b = 0, c = 0, d = 0;
  __asm__ volatile(
      "wls lr, %[groups], 2f\n"
      "1: vldrh.u16 q0, [%[q]], #16\n"
      "vldrb.s16 q1, [%[w]], #8\n"
      "vmladava.s16 %[a], q1, q0\n"
      "vldrb.s16 q1, [%[w]], #8\n"
      "vmladava.s16 %[b], q1, q0\n"
      "vldrb.s16 q1, [%[w]], #8\n"
      "vmladava.s16 %[c], q1, q0\n"
      "vldrb.s16 q1, [%[w]], #8\n"
      "vmladava.s16 %[d], q1, q0\n"
      "le lr, 1b\n"
      "2:"
      : [a] "+Te"(a), [b] "+Te"(b), [c] "+Te"(c), [d] "+Te"(d), [w] "+l"(w), [q] "+l"(q)
      : [groups] "r"(inputs >> 3)
      : "q0", "q1", "lr", "cc", "memory");
  if (inputs & 4u) {
    const int32x4_t v = vldrhq_s32(q);
    a = vmladavaq_s32(a, vldrbq_s32(w), v);
    b = vmladavaq_s32(b, vldrbq_s32(w + 4), v);
    c = vmladavaq_s32(c, vldrbq_s32(w + 8), v);
    d = vmladavaq_s32(d, vldrbq_s32(w + 12), v);
    w += 16;
  }
  sums[0] = a;
  sums[1] = b;
  sums[2] = c;
  sums[3] = d;
  return w;
}
#elif GC_DSP
GC_INLINE const int8_t *gc_sums_i8(int32_t *sums, const int8_t *w, const int16_t *q, uint32_t inputs) {
  int32_t a = 0, b = 0, c = 0, d = 0;
  uint32_t even, odd, p, e;
  __asm__ volatile(
      "subs %[left], %[left], #8\n"
      "blo 2f\n"
      "1:\n" GC_DSP_FOUR("], #32", "-24", "-16", "-8") GC_DSP_FOUR(", #-28]", "-20", "-12", "-4")
      "subs %[left], %[left], #8\n"
      "bhs 1b\n"
      "2: adds %[left], %[left], #8\n"
      "beq 3f\n"
      GC_DSP_FOUR("], #16", "-12", "-8", "-4")
      "3:"
      : [q] "+r"(q), [w] "+r"(w), [left] "+r"(inputs), [s0] "+r"(a), [s1] "+r"(b), [s2] "+r"(c), [s3] "+r"(d),
        [even] "=&r"(even), [odd] "=&r"(odd), [p] "=&r"(p), [e] "=&r"(e)
      :
      : "cc", "memory");
  sums[0] = a;
  sums[1] = b;
  sums[2] = c;
  sums[3] = d;
  return w;
}
#elif GC_PAIRS
GC_INLINE const int8_t *gc_sums_i8(int32_t *sums, const int8_t *w, const int16_t *q, uint32_t inputs) {
  gc_pairs_sum a = GC_PAIRS_ZERO, b = GC_PAIRS_ZERO, c = GC_PAIRS_ZERO, d = GC_PAIRS_ZERO;
  uint32_t left = inputs >> 3, i;
  for (; left; --left, q += 8, w += 32) {
    const gc_pairs_q v = GC_PAIRS_LOAD(q);
    a = GC_PAIRS_ADD(a, w, v);
    b = GC_PAIRS_ADD(b, w + 8, v);
    c = GC_PAIRS_ADD(c, w + 16, v);
    d = GC_PAIRS_ADD(d, w + 24, v);
  }
  sums[0] = GC_PAIRS_SUM(a);
  sums[1] = GC_PAIRS_SUM(b);
  sums[2] = GC_PAIRS_SUM(c);
  sums[3] = GC_PAIRS_SUM(d);
  if (inputs & 4u) {
    for (i = 0; i < 16; ++i) sums[i >> 2] += *w++ * q[i & 3u];
  }
  return w;
}
#else
GC_INLINE const int8_t *gc_sums_i8(int32_t *sums, const int8_t *w, const int16_t *q, uint32_t inputs) {
  int32_t a = 0, b = 0, c = 0, d = 0;
  uint32_t left = inputs;
  for (; left >= 8; left -= 8, w += 24) {
    const int16_t *end = q + 8;
    for (; q != end; ++q, ++w) {
      const int32_t v = *q;
      a += w[0] * v;
      b += w[8] * v;
      c += w[16] * v;
      d += w[24] * v;
    }
  }
  if (left) {
    const int16_t *end = q + 4;
    for (; q != end; ++q, ++w) {
      const int32_t v = *q;
      a += w[0] * v;
      b += w[4] * v;
      c += w[8] * v;
      d += w[12] * v;
    }
    w += 12;
  }
  sums[0] = a;
  sums[1] = b;
  sums[2] = c;
  sums[3] = d;
  return w;
}
#endif

//! gc_scaled
/* y + (sum * s) * scale of four rows. */
#if GC_VECTORS
GC_INLINE void gc_scaled(float *y, const int32_t *sums, float s, const float *scale) {
  const gc_v part = (gc_v_floats(sums) * gc_v_all(s)) * gc_v_load(scale);
  gc_v_store(y, gc_v_load(y) + part);
}
#else
GC_INLINE void gc_scaled(float *y, const int32_t *sums, float s, const float *scale) {
  y[0] = y[0] + ((float)sums[0] * s) * scale[0];
  y[1] = y[1] + ((float)sums[1] * s) * scale[1];
  y[2] = y[2] + ((float)sums[2] * s) * scale[2];
  y[3] = y[3] + ((float)sums[3] * s) * scale[3];
}
#endif

//! gc_product_i8
/* y + (sum * s) * scale, four rows for each panel; at most 1024 inputs. */
GC_STATIC void gc_product_i8(float *y, const int8_t *w, const float *scale, const int16_t *q, float s, uint32_t inputs,
                          uint32_t panels) {
  for (; panels; --panels, y += 4, scale += 4) {
    int32_t sums[4];
    w = gc_sums_i8(sums, w, q, inputs);
    gc_scaled(y, sums, s, scale);
  }
}

//! gc_product_i8_long
/* The same of any number of inputs: what each 1024 of them sum to is exact, and added as floats. */
GC_STATIC void gc_product_i8_long(float *y, const int8_t *w, const float *scale, const int16_t *q, float s,
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

//! GC_DSP_HALF_ROW
/* Four halves of bytes of a row, as sixteen times what they stand for; `half` moves them to the upper places. */
#define GC_DSP_HALF_ROW(at, half, sum) \
  "ldr %[p], [%[w], #" at "]\n" \
  "and %[p], %[mask], %[p]" half "\n" GC_DSP_ROW(sum)

//! GC_DSP_HALVES
#define GC_DSP_HALVES(half) \
  "ldrd %[even], %[odd], [%[q]], #8\n" \
  GC_DSP_HALF_ROW("0", half, "%[s0]") GC_DSP_HALF_ROW("4", half, "%[s1]") \
  GC_DSP_HALF_ROW("8", half, "%[s2]") GC_DSP_HALF_ROW("12", half, "%[s3]")

//! gc_sums_i4
/* The same as gc_sums_i8 of halves of bytes, a multiple of 8 inputs, at most 32. */
#if GC_MVE
GC_INLINE int32_t gc_row_i4(int32_t sum, const uint8_t *w, int32x4_t low, int32x4_t high) {
  const int32x4_t both = vldrbq_s32((const int8_t *)w);
  sum = vmladavaq_s32(sum, vshrq_n_s32(vshlq_n_s32(both, 28), 28), low);
  return vmladavaq_s32(sum, vshrq_n_s32(both, 4), high);
}
GC_INLINE const uint8_t *gc_sums_i4(int32_t *sums, const uint8_t *w, const int16_t *q, uint32_t inputs) {
  int32_t a = 0, b = 0, c = 0, d = 0;
  for (; inputs; inputs -= 8, q += 8, w += 16) {
    const int32x4_t low = vldrhq_s32(q), high = vldrhq_s32(q + 4);
    a = gc_row_i4(a, w, low, high);
    b = gc_row_i4(b, w + 4, low, high);
    c = gc_row_i4(c, w + 8, low, high);
    d = gc_row_i4(d, w + 12, low, high);
  }
  sums[0] = a;
  sums[1] = b;
  sums[2] = c;
  sums[3] = d;
  return w;
}
#elif GC_DSP
GC_INLINE const uint8_t *gc_sums_i4(int32_t *sums, const uint8_t *w, const int16_t *q, uint32_t inputs) {
  int32_t a = 0, b = 0, c = 0, d = 0;
  uint32_t even, odd, p, e;
  __asm__ volatile(
      "1:\n" GC_DSP_HALVES(", lsl #4") GC_DSP_HALVES("")
      "adds %[w], %[w], #16\n"
      "subs %[left], %[left], #8\n"
      "bne 1b"
      : [q] "+r"(q), [w] "+r"(w), [left] "+r"(inputs), [s0] "+r"(a), [s1] "+r"(b), [s2] "+r"(c), [s3] "+r"(d),
        [even] "=&r"(even), [odd] "=&r"(odd), [p] "=&r"(p), [e] "=&r"(e)
      : [mask] "r"(0xf0f0f0f0u)
      : "cc", "memory");
  sums[0] = a / 16;
  sums[1] = b / 16;
  sums[2] = c / 16;
  sums[3] = d / 16;
  return w;
}
#else
GC_INLINE const uint8_t *gc_sums_i4(int32_t *sums, const uint8_t *w, const int16_t *q, uint32_t inputs) {
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
#endif

//! gc_product_i4
/* y + total * s: the exact sum of each 32 inputs times its scale, a half, is added to the total. */
GC_STATIC void gc_product_i4(float *y, const uint8_t *w, const uint16_t *scale, const int16_t *q, float s,
                          uint32_t inputs, uint32_t panels) {
  for (; panels; --panels, y += 4) {
    float a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;
    uint32_t first;
    for (first = 0; first < inputs; first += 32, scale += 4) {
      int32_t sums[4];
      w = gc_sums_i4(sums, w, q + first, inputs - first < 32 ? inputs - first : 32);
      a = a + (float)sums[0] * gc_half(scale[0]);
      b = b + (float)sums[1] * gc_half(scale[1]);
      c = c + (float)sums[2] * gc_half(scale[2]);
      d = d + (float)sums[3] * gc_half(scale[3]);
    }
    y[0] = y[0] + a * s;
    y[1] = y[1] + b * s;
    y[2] = y[2] + c * s;
    y[3] = y[3] + d * s;
  }
}

//! gc_rows_i8
GC_STATIC void gc_rows_i8(float *y, const int8_t *w, const float *scale, const int16_t *q, float s, uint32_t inputs,
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
GC_STATIC void gc_rows_i4(float *y, const int8_t *w, const uint16_t *scale, const int16_t *q, float s, uint32_t inputs,
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
