// Some rows of activations times some vectors of weights of float32 or float16, with all sums in registers. Included
// once per instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// Vectors of a panel at once.
#if defined(GRUCORE_FLOAT_VECTORS)
constexpr int kFloatVectors = GRUCORE_FLOAT_VECTORS;
#else
constexpr int kFloatVectors = kStepVectors > 1 ? 3 : 1;
#endif

template <class Weight, int kPanels, int kVectors, int kLast, int kRows>
GRUCORE_INLINE void float_tile(const ProductArgs& args, uint32_t row, uint32_t lane, int lanes, uint32_t first) {
  const PackedWeights& weights = *args.weights;
  const size_t inputs = weights.inputs;
  const size_t pitch = size_t{panel_width(weights.rows, row)} * weights.gates;
  const size_t before = size_t{row} * weights.gates;
  const size_t start_pitch = args.bias ? size_t{kPanel} * args.bias_gates : pitch;
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
    const size_t at = row_in_tile(args.rows, first, r);
    x[r] = args.x.data + at * args.x.stride;
    y[r] = args.y.data + at * args.y.stride + before + lane;
    const float* start = args.bias ? args.bias + size_t{row} * args.bias_gates + lane : y[r];
    GRUCORE_UNROLL(8)
    for (int p = 0; p < kPanels; ++p) {
      GRUCORE_UNROLL(12)
      for (int v = 0; v < kVectors; ++v) {
        sums[r][p][v] = load_vector<kLast>(start + static_cast<size_t>(p) * start_pitch + v * kLanes, lanes);
      }
    }
  }
  for (size_t k = 0; k < inputs; ++k) {
    GRUCORE_UNROLL(8)
    for (int p = 0; p < kPanels; ++p) {
      F32 weight[kVectors];
      GRUCORE_UNROLL(12)
      for (int v = 0; v < kVectors; ++v) weight[v] = load_vector<kLast>(w[p] + v * kLanes, lanes);
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) {
        const F32 xk = broadcast(x[r][k]);
        GRUCORE_UNROLL(12)
        for (int v = 0; v < kVectors; ++v) sums[r][p][v] = mul_add(weight[v], xk, sums[r][p][v]);
      }
      w[p] += pitch;
    }
  }
  GRUCORE_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    GRUCORE_UNROLL(8)
    for (int p = 0; p < kPanels; ++p) {
      GRUCORE_UNROLL(12)
      for (int v = 0; v < kVectors; ++v) {
        store_vector<kLast>(y[r] + static_cast<size_t>(p) * pitch + v * kLanes, sums[r][p][v], lanes);
      }
    }
  }
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
