// SPDX-License-Identifier: Apache-2.0
// Products of float weights with one frame, four rows (a panel) at a time: grucore/export/packing.py has the layouts.

//! GC_VFP
/* A Cortex-M with an FPU loads several registers at once. */
#if defined(__thumb2__) && defined(__ARM_FP) && (__ARM_FP & 4) && defined(__ARM_FEATURE_FMA) && !defined(__ARM_NEON)
#define GC_VFP 1
#else
#define GC_VFP 0
#endif

//! GC_PANELS
/* Vectors of four rows times one input: three panels at a time, then one. */
#define GC_PANELS                                                              \
  for (; panels >= 3; panels -= 3, y += 12, w += 8 * inputs) {                 \
    const float *v = w + 4 * inputs, *u = v + 4 * inputs, *at = x;             \
    gc_v a = gc_v_load(y), b = gc_v_load(y + 4), c = gc_v_load(y + 8);         \
    uint32_t left = inputs;                                                    \
    for (; left; --left, ++at, w += 4, v += 4, u += 4) {                       \
      a = gc_v_madd(a, gc_v_load(w), *at);                                     \
      b = gc_v_madd(b, gc_v_load(v), *at);                                     \
      c = gc_v_madd(c, gc_v_load(u), *at);                                     \
    }                                                                          \
    gc_v_store(y, a);                                                          \
    gc_v_store(y + 4, b);                                                      \
    gc_v_store(y + 8, c);                                                      \
  }                                                                            \
  for (; panels; --panels, y += 4) {                                           \
    const float *at = x;                                                       \
    gc_v a = gc_v_load(y);                                                     \
    uint32_t left = inputs;                                                    \
    for (; left; --left, ++at, w += 4) a = gc_v_madd(a, gc_v_load(w), *at);    \
    gc_v_store(y, a);                                                          \
  }

//! GC_VFP_ADD fused
#define GC_VFP_ADD(sum, w, x) "vfma.f32 " sum ", " w ", " x "\n"

//! GC_VFP_ADD muladd
#define GC_VFP_ADD(sum, w, x) "vmul.f32 " w ", " w ", " x "\nvadd.f32 " sum ", " sum ", " w "\n"

//! GC_VFP_INPUT
/* Four rows' weights times one input. */
#define GC_VFP_INPUT(a, b, c, d, x) \
  GC_VFP_ADD("s0", a, x) GC_VFP_ADD("s1", b, x) GC_VFP_ADD("s2", c, x) GC_VFP_ADD("s3", d, x)

//! gc_product_f32
/* Goes on with the chains y, four for each panel: y + w x, inputs ascending. */
#if GC_VECTOR_MADD
GC_STATIC void gc_product_f32(float *y, const float *w, const float *x, uint32_t inputs, uint32_t panels) {
  GC_PANELS
}
#elif GC_VFP
GC_STATIC void gc_product_f32(float *y, const float *w, const float *x, uint32_t inputs, uint32_t panels) {
  for (; panels; --panels, y += 4) {
    const float *at = x;
    uint32_t left = inputs;
    __asm__ volatile(
        "vldmia %[y], {s0-s3}\n"
        "subs %[left], %[left], #4\n"
        "blo 2f\n"
        "1: vldmia %[x]!, {s4-s7}\n"
        "vldmia %[w]!, {s8-s15}\n"
        GC_VFP_INPUT("s8", "s9", "s10", "s11", "s4") GC_VFP_INPUT("s12", "s13", "s14", "s15", "s5")
        "vldmia %[w]!, {s8-s15}\n"
        GC_VFP_INPUT("s8", "s9", "s10", "s11", "s6") GC_VFP_INPUT("s12", "s13", "s14", "s15", "s7")
        "subs %[left], %[left], #4\n"
        "bhs 1b\n"
        "2: adds %[left], %[left], #4\n"
        "beq 4f\n"
        "3: vldmia %[x]!, {s4}\n"
        "vldmia %[w]!, {s8-s11}\n"
        GC_VFP_INPUT("s8", "s9", "s10", "s11", "s4")
        "subs %[left], %[left], #1\n"
        "bne 3b\n"
        "4: vstmia %[y], {s0-s3}"
        : [x] "+r"(at), [w] "+r"(w), [left] "+r"(left)
        : [y] "r"(y)
        : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15",
          "cc", "memory");
  }
}
#else
GC_STATIC void gc_product_f32(float *y, const float *w, const float *x, uint32_t inputs, uint32_t panels) {
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
#endif

//! GC_VFP_HALVES
/* The same of four halves in two registers. */
#define GC_VFP_HALVES(low, high, x) \
  "vcvtb.f32.f16 s10, " low "\n" \
  "vcvtt.f32.f16 s11, " low "\n" \
  "vcvtb.f32.f16 s12, " high "\n" \
  "vcvtt.f32.f16 s13, " high "\n" GC_VFP_INPUT("s10", "s11", "s12", "s13", x)

//! gc_product_f16
/* The same of halves, which are exact as floats. */
#if GC_VFP
GC_STATIC void gc_product_f16(float *y, const uint16_t *w, const float *x, uint32_t inputs, uint32_t panels) {
  for (; panels; --panels, y += 4) {
    const float *at = x;
    uint32_t left = inputs;
    __asm__ volatile(
        "vldmia %[y], {s0-s3}\n"
        "subs %[left], %[left], #2\n"
        "blo 2f\n"
        "1: vldmia %[x]!, {s4-s5}\n"
        "vldmia %[w]!, {s6-s9}\n"
        GC_VFP_HALVES("s6", "s7", "s4") GC_VFP_HALVES("s8", "s9", "s5")
        "subs %[left], %[left], #2\n"
        "bhs 1b\n"
        "2: adds %[left], %[left], #2\n"
        "beq 3f\n"
        "vldmia %[x]!, {s4}\n"
        "vldmia %[w]!, {s6-s7}\n"
        GC_VFP_HALVES("s6", "s7", "s4")
        "3: vstmia %[y], {s0-s3}"
        : [x] "+r"(at), [w] "+r"(w), [left] "+r"(left)
        : [y] "r"(y)
        : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "cc", "memory");
  }
}
#else
GC_STATIC void gc_product_f16(float *y, const uint16_t *w, const float *x, uint32_t inputs, uint32_t panels) {
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
#endif

//! gc_rows_f32
/* y + w x of a few rows, one after the other. */
GC_STATIC void gc_rows_f32(float *y, const float *w, const float *x, uint32_t inputs, uint32_t rows) {
  uint32_t i;
  for (; rows; --rows, ++y, w += inputs) {
    float sum = *y;
    for (i = 0; i < inputs; ++i) sum = gc_madd(w[i], x[i], sum);
    *y = sum;
  }
}

//! gc_rows_f16
GC_STATIC void gc_rows_f16(float *y, const uint16_t *w, const float *x, uint32_t inputs, uint32_t rows) {
  uint32_t i;
  for (; rows; --rows, ++y, w += inputs) {
    float sum = *y;
    for (i = 0; i < inputs; ++i) sum = gc_madd(gc_half(w[i]), x[i], sum);
    *y = sum;
  }
}
