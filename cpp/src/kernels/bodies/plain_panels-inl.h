// Products of integer weights, one row of activations and a few rows of weights at a time: what small cores have
// registers for. From those to the next ones a pointer or two change. Included once per instruction set, inside its
// target region, where vectors have one lane.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kFourRows = 4;

// The activations of one tap under all rows of a panel; y is the panel's part of a row of results.
struct PanelProduct {
  const unsigned char* weights;
  const void* scale;   // of these rows: as in PackedWeights, of int4 those of the first group of inputs
  const float* start;  // what the product is added to; null: nothing
  float* y;
  uint32_t width;
};

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA

#if GRUCORE_HELIUM
#include "kernels/bodies/helium_int8-inl.h"
#elif GRUCORE_FOURS
#include "kernels/bodies/arm32_integer-inl.h"
#else
#include "kernels/bodies/int8_rows-inl.h"
#endif

namespace grucore::detail::GRUCORE_ISA {
namespace {

template <WeightKind kKind, int kBits>
GRUCORE_NOINLINE void plain_panels(const ProductArgs& args, uint32_t first, uint32_t panels, bool backwards) {
  const PackedWeights& weights = *args.weights;
  const size_t row_bytes = padded_inputs(kKind, weights.inputs) / (kKind == WeightKind::kInt8 ? 1 : 2);
  for (uint32_t i = 0; i < panels; ++i) {
    const uint32_t row = first + (backwards ? panels - 1 - i : i) * kPanel;
    const size_t before = size_t{row} * weights.gates;
    PanelProduct panel;
    panel.width = panel_width(weights.rows, row) * weights.gates;
    if constexpr (kKind == WeightKind::kInt8) panel.scale = static_cast<const float*>(weights.scale) + before;
    for (uint32_t r = 0; r < args.rows.count; ++r) {
      const size_t of = row_at(args.rows, r);
      const unsigned char* x = args.quantized.data + of * args.quantized.stride;
      panel.weights = static_cast<const unsigned char*>(weights.data) + before * row_bytes * weights.taps;
      panel.y = args.y.data + of * args.y.stride + before;
      panel.start = args.bias ? args.bias + size_t{row} * args.bias_gates : args.overwrites ? nullptr : panel.y;
      if constexpr (kKind == WeightKind::kInt4) {
        panel.scale = static_cast<const uint16_t*>(weights.scale) + before * weights.sums * weights.taps;
      }
      for (uint32_t s = 0; s < weights.taps; ++s) {
        panel_product<kKind, kBits>(panel, x, weights);
        if constexpr (kKind == WeightKind::kInt4) {
          panel.scale = static_cast<const uint16_t*>(panel.scale) + size_t{panel.width} * weights.sums;
        }
        panel.weights += panel.width * row_bytes;
        panel.start = panel.y;
        x += weights.tap_bytes;
      }
    }
  }
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
