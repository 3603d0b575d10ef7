// Four rows of int8 weights times one row of activations, in words. Included once per instruction set, inside its
// target region, where vectors have one lane. SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

template <WeightKind kKind>
constexpr bool kHasPlainPanels = kKind == WeightKind::kInt8;

// Four rows from w on times the activations from `values` to `end`. A call of its own, with all in registers.
template <int kBits>
GRUCORE_OUTLINE void dot_four_rows(I32* sums, const unsigned char* w, size_t pitch, const unsigned char* values,
                                   const unsigned char* end) {
  constexpr size_t kBytes = 4 * activation_bytes(kBits);  // of four activations
  Dots<kBits> dots[kFourRows];
  GRUCORE_UNROLL(4)
  for (int r = 0; r < kFourRows; ++r) dots[r] = dots_from<kBits>(0);
  for (; values != end; values += kBytes, w += pitch) {
    const FourNumbers four = load_four<kBits>(values, 0, 0);
    GRUCORE_UNROLL(4)
    for (int r = 0; r < kFourRows; ++r) add_products(dots[r], load_bytes(w + 4 * r), four);
  }
  GRUCORE_UNROLL(4)
  for (int r = 0; r < kFourRows; ++r) sums[r] = total(dots[r]);
}

GRUCORE_INLINE const unsigned char* left_of(const unsigned char* from, const unsigned char* end, size_t most) {
  return static_cast<size_t>(end - from) > most ? from + most : end;
}

template <WeightKind, int kBits>
GRUCORE_OUTLINE void panel_product(const PanelProduct& of, const unsigned char* x, const PackedWeights& weights) {
  constexpr size_t kBlockBytes = kBlockInputs * activation_bytes(kBits);
  const PanelProduct panel = of;
  const float* const scale = static_cast<const float*>(panel.scale);
  float x_scale;
  __builtin_memcpy(&x_scale, x, sizeof x_scale);
  const unsigned char* const values = x + weights.header;
  const unsigned char* const end = values + (weights.inputs + 3) / 4 * 4 * activation_bytes(kBits);
  const size_t pitch = size_t{panel.width} * 4;
  for (uint32_t lane = 0; lane < panel.width; lane += kFourRows) {
    const unsigned char *w = panel.weights + size_t{lane} * 4, *from = values;
    I32 dots[kFourRows];
    F32 sums[kFourRows];
    const unsigned char* to = left_of(from, end, kBlockBytes);
    dot_four_rows<kBits>(dots, w, pitch, from, to);
    GRUCORE_UNROLL(4)
    for (int r = 0; r < kFourRows; ++r) sums[r] = to_float(dots[r]);
    while (to != end) {
      from = to;
      to = left_of(from, end, kBlockBytes);
      dot_four_rows<kBits>(dots, w += kBlockInputs / 4 * pitch, pitch, from, to);
      for (int r = 0; r < kFourRows; ++r) sums[r] = add(sums[r], to_float(dots[r]));
    }
    GRUCORE_UNROLL(4)
    for (int r = 0; r < kFourRows; ++r) {
      const F32 product = mul(mul(sums[r], broadcast(x_scale)), load(scale + lane + r));
      store(panel.y + lane + r, panel.start ? add(load(panel.start + lane + r), product) : product);
    }
  }
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
