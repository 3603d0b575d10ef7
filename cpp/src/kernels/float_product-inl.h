// y += weights * x for float32 and float16 weights. Included once per instruction set, inside its target region.
//
// A panel's gates lie side by side along k, so that a panel of G gates and w rows is one of G * w rows. Each sum is
// the chain that stands in y, continued with one multiply-add for each input, ascending (docs/numerics.md).
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// Chains in flight: enough to hide the latency of mul_add in a single row.
constexpr int kFloatVectors = kStepVectors > 1 ? 3 : 1;
constexpr int kChainsInFlight = kStepVectors > 1 ? 12 : 1;

template <class Weight, int kPanels, int kVectors, int kLast, int kRows>
GRUCORE_INLINE void float_tile(const ProductArgs& args, uint32_t row, uint32_t lane, int lanes, uint32_t first) {
  const PackedWeights& weights = args.weights;
  const size_t inputs = weights.inputs;
  const size_t pitch = size_t{panel_width(weights.rows, row)} * weights.gates;
  const size_t before = size_t{row} * weights.gates;
  const Weight* w[kPanels];
  const float* x[kRows];
  float* y[kRows];
  F32 sums[kRows][kPanels][kVectors];
  GRUCORE_UNROLL(8)
  for (int p = 0; p < kPanels; ++p) {
    w[p] = static_cast<const Weight*>(weights.data) + (before + static_cast<size_t>(p) * pitch) * inputs + lane;
  }
  GRUCORE_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    const size_t at = row_at(args.rows, first + static_cast<uint32_t>(r));
    x[r] = args.x.data + at * args.x.stride;
    y[r] = args.y.data + at * args.y.stride + before + lane;
    GRUCORE_UNROLL(8)
    for (int p = 0; p < kPanels; ++p) {
      GRUCORE_UNROLL(8)
      for (int v = 0; v < kVectors; ++v) {
        sums[r][p][v] = load_strip<kLast>(y[r] + static_cast<size_t>(p) * pitch + v * kLanes, lanes);
      }
    }
  }
  for (size_t k = 0; k < inputs; ++k) {
    GRUCORE_UNROLL(8)
    for (int p = 0; p < kPanels; ++p) {
      F32 weight[kVectors];
      GRUCORE_UNROLL(8)
      for (int v = 0; v < kVectors; ++v) weight[v] = load_strip<kLast>(w[p] + v * kLanes, lanes);
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) {
        const F32 xk = broadcast(x[r][k]);
        GRUCORE_UNROLL(8)
        for (int v = 0; v < kVectors; ++v) sums[r][p][v] = mul_add(weight[v], xk, sums[r][p][v]);
      }
      w[p] += pitch;
    }
  }
  GRUCORE_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    GRUCORE_UNROLL(8)
    for (int p = 0; p < kPanels; ++p) {
      GRUCORE_UNROLL(8)
      for (int v = 0; v < kVectors; ++v) {
        store_strip<kLast>(y[r] + static_cast<size_t>(p) * pitch + v * kLanes, sums[r][p][v], lanes);
      }
    }
  }
}

// Some lanes of some panels, for all rows.
template <class Weight, int kPanels, int kVectors, int kLast>
GRUCORE_NOINLINE void float_rows(const ProductArgs& args, uint32_t row, uint32_t lane, int lanes) {
  constexpr int kRows = kPanels > 1 || kBlockRows * kVectors > 24 ? 1 : kBlockRows;
  uint32_t i = 0;
  for (; kRows > 1 && args.rows.count - i >= static_cast<uint32_t>(kRows); i += kRows) {
    float_tile<Weight, kPanels, kVectors, kLast, kRows>(args, row, lane, lanes, i);
  }
  for (; i < args.rows.count; ++i) float_tile<Weight, kPanels, kVectors, kLast, 1>(args, row, lane, lanes, i);
}

template <class Weight>
GRUCORE_INLINE void float_product(const ProductArgs& args) {
  constexpr uint32_t kWide = kFloatVectors * kLanes;
  constexpr int kPanels = kChainsInFlight / kFloatVectors;
  const PackedWeights& weights = args.weights;
  const bool is_single = args.rows.count < static_cast<uint32_t>(kBlockRows) || kBlockRows == 1;
  uint32_t row = 0;
  // Several panels at once for a few rows: a chain waits for itself.
  const uint32_t whole = kPanel * weights.gates;
  if (is_single && kPanels > 1 && whole % kWide == 0) {
    for (; weights.rows - row >= kPanels * kPanel; row += kPanels * kPanel) {
      for (uint32_t lane = 0; lane < whole; lane += kWide) {
        float_rows<Weight, kPanels, kFloatVectors, kLanes>(args, row, lane, kLanes);
      }
    }
  }
  if (is_single && weights.gates == 1 && kPanelVectors <= 2) {
    for (; weights.rows - row >= 4 * kPanel; row += 4 * kPanel) {
      float_rows<Weight, 4, kPanelVectors, kLanes>(args, row, 0, kLanes);
    }
  }
  for (; row < weights.rows; row += kPanel) {
    const uint32_t rows = panel_width(weights.rows, row) * weights.gates;
    uint32_t lane = 0;
    for (; rows - lane >= kWide; lane += kWide) float_rows<Weight, 1, kFloatVectors, kLanes>(args, row, lane, kLanes);
    while (lane < rows) {
      const uint32_t lanes = rows - lane < static_cast<uint32_t>(kLanes) ? rows - lane : kLanes;
      if (kHasMasks || lanes == static_cast<uint32_t>(kLanes)) {
        float_rows<Weight, 1, 1, kHasMasks ? kAnyLanes : kLanes>(args, row, lane, static_cast<int>(lanes));
      } else {
        float_rows<Weight, 1, 1, 4>(args, row, lane, 4);
      }
      lane += lanes;
    }
  }
}

void product(const ProductArgs& args) {
#if !defined(GRUCORE_ONLY_FLOAT32)
  if (args.weights.kind == WeightKind::kFloat16) return float_product<uint16_t>(args);
#endif
  float_product<float>(args);
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
