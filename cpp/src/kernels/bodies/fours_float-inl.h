// Products of float weights with one row of activations by vectors of four floats (vec/helium.h, vec/arm32.h). Included
// once per instruction set, inside its target region, after float_tile.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

// Adds to the sums of kVectors vectors of rows.
template <int kVectors, class Weight>
GRUCORE_INLINE void add_inputs(F32x4 (&sums)[kVectors], const Weight* w, size_t pitch, const float* x, size_t inputs) {
  for (; inputs; --inputs, w += pitch) {
    const Float xk = {*x++};
    GRUCORE_UNROLL(12)
    for (int v = 0; v < kVectors; ++v) sums[v] = mul_add(load_four_weights(w + 4 * v), xk, sums[v]);
  }
}
#if GRUCORE_HELIUM
// With all in registers, which compilers do not find out.
template <>
GRUCORE_INLINE void add_inputs<6, float>(F32x4 (&sums)[6], const float* w, size_t pitch, const float* x,
                                         size_t inputs) {
  const size_t left = (pitch - 20) * sizeof(float);  // to the next input's weights
  uint32_t xk;
  float32x4_t a, b;
  __asm__ volatile(
      "wls lr, %[inputs], 2f\n"
      "1: ldr %[xk], [%[x]], #4\n"
      "vldrw.u32 %q[a], [%[w]], #16\n"
      "vldrw.u32 %q[b], [%[w]], #16\n"
      "vfma.f32 %q[s0], %q[a], %[xk]\n"
      "vldrw.u32 %q[a], [%[w]], #16\n"
      "vfma.f32 %q[s1], %q[b], %[xk]\n"
      "vldrw.u32 %q[b], [%[w]], #16\n"
      "vfma.f32 %q[s2], %q[a], %[xk]\n"
      "vldrw.u32 %q[a], [%[w]], #16\n"
      "vfma.f32 %q[s3], %q[b], %[xk]\n"
      "vldrw.u32 %q[b], [%[w]]\n"
      "vfma.f32 %q[s4], %q[a], %[xk]\n"
      "add %[w], %[w], %[left]\n"
      "vfma.f32 %q[s5], %q[b], %[xk]\n"
      "le lr, 1b\n"
      "2:"
      : [s0] "+w"(sums[0].v), [s1] "+w"(sums[1].v), [s2] "+w"(sums[2].v), [s3] "+w"(sums[3].v), [s4] "+w"(sums[4].v),
        [s5] "+w"(sums[5].v), [a] "=&w"(a), [b] "=&w"(b), [xk] "=&r"(xk), [w] "+r"(w), [x] "+r"(x)
      : [inputs] "r"(inputs), [left] "r"(left)
      : "lr", "memory");
}
#endif

template <class Weight, int kVectors>
GRUCORE_OUTLINE void rows_in_fours(const ProductArgs& args, uint32_t row, uint32_t lane) {
  const PackedWeights& weights = *args.weights;
  const size_t pitch = size_t{panel_width(weights.rows, row)} * weights.gates;
  const size_t before = size_t{row} * weights.gates;
  const Weight* const w = static_cast<const Weight*>(weights.data) + before * weights.inputs + lane;
  for (uint32_t i = 0; i < args.rows.count; ++i) {
    const size_t at = row_at(args.rows, i);
    float* const y = args.y.data + at * args.y.stride + before + lane;
    const float* const start = args.bias ? args.bias + size_t{row} * args.bias_gates + lane : y;
    forget_denormals();
    F32x4 sums[kVectors];
    GRUCORE_UNROLL(12)
    for (int v = 0; v < kVectors; ++v) sums[v] = load_four_floats(start + 4 * v);
    add_inputs<kVectors, Weight>(sums, w, pitch, args.x.data + at * args.x.stride, weights.inputs);
    GRUCORE_UNROLL(12)
    for (int v = 0; v < kVectors; ++v) wait_for(sums[v]);
    if (!met_denormals(sums[kVectors - 1])) {
      GRUCORE_UNROLL(12)
      for (int v = 0; v < kVectors; ++v) store_four_floats(y + 4 * v, sums[v]);
    } else {
      for (uint32_t v = 0; v < kVectors; ++v) {
        float_tile<Weight, 1, kFewVectors, 1, 1>(args, row, lane + 4 * v, 1, i);
      }
    }
  }
}

template <class Weight>
GRUCORE_OUTLINE void panel_in_fours(const ProductArgs& args, uint32_t row) {
  constexpr uint32_t kWide = 4 * kWideFours;
  const uint32_t rows = panel_width(args.weights->rows, row) * args.weights->gates;
  uint32_t lane = 0;
  for (; rows - lane >= kWide; lane += kWide) rows_in_fours<Weight, kWideFours>(args, row, lane);
  for (; rows - lane >= 12; lane += 12) rows_in_fours<Weight, 3>(args, row, lane);
  for (; lane < rows; lane += 4) rows_in_fours<Weight, 1>(args, row, lane);
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
