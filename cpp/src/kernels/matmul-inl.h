// y = activation(bias + weights * x) for rows of x. Included once per instruction set, inside its target
// region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

template <int kGates, int kRows>
struct MatmulTile {
  const MatmulArgs& args;
  uint32_t first;  // of args.rows

  template <int kPanels, int kVectors, int kLast>
  GRUCORE_INLINE void tile(const Piece& piece) const {
    Sums<kGates, kRows, kPanels, kVectors> sums;
    const float* x[kRows];
    float* y[kRows];
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      const size_t row = row_at(args.rows, first + static_cast<uint32_t>(r));
      x[r] = args.x.data + row * args.x.stride;
      y[r] = args.y.data + row * args.y.stride + static_cast<size_t>(piece.row) * kGates + piece.lane;
      GRUCORE_UNROLL(4)
      for (int g = 0; g < kGates; ++g) set_gate<kLast>(sums, g, r, args.bias, args.bias_gates, g, piece);
    }
    accumulate<kLast>(sums, args.weights, piece, x);
    F32 done[kRows][kPanels][kVectors][kGates];  // a copy, so that the sums themselves stay in registers
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      GRUCORE_UNROLL(8)
      for (int p = 0; p < kPanels; ++p) {
        GRUCORE_UNROLL(4)
        for (int v = 0; v < kVectors; ++v) {
          GRUCORE_UNROLL(4)
          for (int g = 0; g < kGates; ++g) done[r][p][v][g] = sums.at[r][p][v][g];
        }
      }
    }
    GRUCORE_UNROLL(1)
    for (int r = 0; r < kRows; ++r) {
      GRUCORE_UNROLL(1)
      for (int p = 0; p < kPanels; ++p) {
        float* to = y[r] + static_cast<size_t>(p) * kPanel * kGates;
        for (int v = 0; v < kVectors; ++v) {
          for (int g = 0; g < kGates; ++g) {
            F32 value = done[r][p][v][g];
            // Gates are chains that gru_step continues, not values: nothing may touch them in between.
            if (kGates == 1) {
              if (args.activation.code != ActivationCode::kLinear) value = apply(args.activation, value);
              value = flush_denormals(value);
            }
            store_vector<kLast, kVectors>(to + g * static_cast<size_t>(piece.width) + v * kLanes, value, v, piece);
          }
        }
      }
    }
  }
};

template <int kRows>
using ProjectTile = MatmulTile<3, kRows>;
template <int kRows>
using DenseTile = MatmulTile<1, kRows>;

void matmul(const MatmulArgs& args) {
  const uint32_t outputs = args.weights.rows;
  const uint32_t count = args.rows.count;
  const uint32_t grouped = grouped_rows(count);
  if (args.weights.gates == 3) {
    if (grouped) for_each_vector(outputs, RowGroups<MatmulArgs, ProjectTile>{args, grouped});
    for (uint32_t i = grouped; i < count; ++i) for_each_piece<kStepVectors>(outputs, ProjectTile<1>{args, i});
  } else {
    constexpr int kMost = kStepVectors > 1 ? 2 * kStepVectors : 1;
    if (grouped) for_each_vector(outputs, RowGroups<MatmulArgs, DenseTile>{args, grouped});
    for (uint32_t i = grouped; i < count; ++i) for_each_piece<kMost>(outputs, DenseTile<1>{args, i});
  }
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
