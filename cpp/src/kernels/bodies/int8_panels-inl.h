// Products of int8 weights, one row of activations and four rows of weights at a time: what small cores have registers
// for. From four rows to the next four a pointer or two change. Included once per instruction set, inside its
// target region, where vectors have one lane.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kFourRows = 4;

// The activations of one tap under all rows of a panel; y is the panel's part of a row of results.
struct PanelProduct {
  const unsigned char* weights;
  const float* scale;  // of these rows
  const float* start;  // what the product is added to; null: nothing
  float* y;
  uint32_t width;
};

// Four rows from w on times the activations from `values` to `end`. A call of its own, with all in registers.
#if GRUCORE_HELIUM
template <int kBits>
GRUCORE_OUTLINE void dot_four_rows(I32* sums, const unsigned char* w, size_t pitch, const unsigned char* values,
                                   const unsigned char* end) {
  static_assert(activation_bytes(kBits) == 2, "firmware has one width");
  int32_t a = 0, b = 0, c = 0, d = 0;
  for (; values != end; values += 8, w += pitch) {
    const int32x4_t x = four_lanes(values);
    a = add_row(a, w, x);
    b = add_row(b, w + 4, x);
    c = add_row(c, w + 8, x);
    d = add_row(d, w + 12, x);
  }
  sums[0].v = a, sums[1].v = b, sums[2].v = c, sums[3].v = d;
}
#else
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
#endif

GRUCORE_INLINE const unsigned char* left_of(const unsigned char* from, const unsigned char* end, size_t most) {
  return static_cast<size_t>(end - from) > most ? from + most : end;
}

template <int kBits>
GRUCORE_OUTLINE void int8_panel(const PanelProduct& of, const unsigned char* x, uint32_t header, uint32_t inputs) {
  constexpr size_t kBlockBytes = kBlockInputs * activation_bytes(kBits);
  const PanelProduct panel = of;
  float x_scale;
  __builtin_memcpy(&x_scale, x, sizeof x_scale);
  const unsigned char* const values = x + header;
  const unsigned char* const end = values + (inputs + 3) / 4 * 4 * activation_bytes(kBits);
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
      const F32 product = mul(mul(sums[r], broadcast(x_scale)), load(panel.scale + lane + r));
      store(panel.y + lane + r, panel.start ? add(load(panel.start + lane + r), product) : product);
    }
  }
}

template <int kBits>
GRUCORE_NOINLINE void int8_panels(const ProductArgs& args, uint32_t first, uint32_t panels, bool backwards) {
  const PackedWeights& weights = *args.weights;
  const size_t row_bytes = padded_inputs(WeightKind::kInt8, weights.inputs);
  for (uint32_t i = 0; i < panels; ++i) {
    const uint32_t row = first + (backwards ? panels - 1 - i : i) * kPanel;
    const size_t before = size_t{row} * weights.gates;
    PanelProduct panel;
    panel.width = panel_width(weights.rows, row) * weights.gates;
    panel.scale = static_cast<const float*>(weights.scale) + before;
    for (uint32_t r = 0; r < args.rows.count; ++r) {
      const size_t of = row_at(args.rows, r);
      const unsigned char* x = args.quantized.data + of * args.quantized.stride;
      panel.weights = static_cast<const unsigned char*>(weights.data) + before * row_bytes * weights.taps;
      panel.y = args.y.data + of * args.y.stride + before;
      panel.start = args.bias ? args.bias + size_t{row} * args.bias_gates : args.overwrites ? nullptr : panel.y;
      for (uint32_t s = 0; s < weights.taps; ++s) {
        int8_panel<kBits>(panel, x, weights.header, weights.inputs);
        panel.weights += panel.width * row_bytes;
        panel.start = panel.y;
        x += weights.tap_bytes;
      }
    }
  }
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
