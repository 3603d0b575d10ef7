// y = activation(bias + weights * x) for rows of x. Included once per instruction set, inside its target
// region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

template <int kRows>
struct MatmulOp {
  static constexpr bool kHasWhole = false;
  const MatmulArgs& args;
  uint32_t first;  // of args.rows

  template <int kPanels, int kVectors, int kLast>
  GRUCORE_INLINE void run(const Tile& tile) const {
    Sums<1, kRows, kPanels, kVectors> sums;
    const float* x[kRows];
    float* y[kRows];
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      const size_t row = row_in_tile(args.rows, first, r);
      x[r] = args.x.data + row * args.x.stride;
      y[r] = args.y.data + row * args.y.stride + tile.row + tile.lane;
      set_gate<kLast>(sums, 0, r, args.bias, 1, 0, tile);
    }
    accumulate<kLast>(sums, args.weights, tile, x);
    F32 done[kRows][kPanels][kVectors];  // a copy, so that the sums themselves stay in registers
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      GRUCORE_UNROLL(8)
      for (int p = 0; p < kPanels; ++p) {
        GRUCORE_UNROLL(4)
        for (int v = 0; v < kVectors; ++v) done[r][p][v] = sums.at[r][p][v][0];
      }
    }
    GRUCORE_UNROLL(1)
    for (int r = 0; r < kRows; ++r) {
      GRUCORE_UNROLL(1)
      for (int p = 0; p < kPanels; ++p) {
        for (int v = 0; v < kVectors; ++v) {
          F32 value = done[r][p][v];
          if (args.activation.code != ActivationCode::kLinear) value = apply(args.activation, value);
          store(y[r] + static_cast<size_t>(p) * kPanel + v * kLanes, flush_denormals(value));
        }
      }
    }
  }
};

void matmul(const MatmulArgs& args) {
  const uint32_t outputs = args.weights.rows;
  const uint32_t count = args.rows.count;
  const TileHeights heights(count, false);
  if (heights.in_tiles) tiles_of_vectors(outputs, TilesOfRows<MatmulArgs, MatmulOp>{args, heights});
  const auto tiles = Tiles<2 * kStepVectors>::of<MatmulOp<1>>(outputs, 0);
  for (uint32_t i = heights.in_tiles; i < count; ++i) {
    tiles.each(false, MatmulOp<1>{args, i});
  }
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
