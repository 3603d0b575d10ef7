// y = activation(bias + weights * x) for rows of x. Included once per instruction set, inside its target
// region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

template <int kRows>
struct MatmulTile {
  static constexpr bool kHasWhole = false;
  const MatmulArgs& args;
  uint32_t first;  // of args.rows

  template <int kPanels, int kVectors, int kLast>
  GRUCORE_INLINE void tile(const Piece& piece) const {
    Sums<1, kRows, kPanels, kVectors> sums;
    const float* x[kRows];
    float* y[kRows];
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      const size_t row = row_in_group(args.rows, first, r);
      x[r] = args.x.data + row * args.x.stride;
      y[r] = args.y.data + row * args.y.stride + piece.row + piece.lane;
      set_gate<kLast>(sums, 0, r, args.bias, 1, 0, piece);
    }
    accumulate<kLast>(sums, args.weights, piece, x);
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
  const Grouping grouping(count, false);
  if (grouping.in_groups) for_each_vector(outputs, RowGroups<MatmulArgs, MatmulTile>{args, grouping});
  const auto pieces = Pieces<2 * kStepVectors>::of<MatmulTile<1>>(outputs, 0);
  for (uint32_t i = grouping.in_groups; i < count; ++i) {
    pieces.each(false, MatmulTile<1>{args, i});
  }
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
