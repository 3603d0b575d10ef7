// One step of the GRU cell. Included once per instruction set, inside its target region.
//
//   r = sigmoid(b_r + W_r x + U_r h)      z = sigmoid(b_z + W_z x + U_z h)
//   reset-after:   n = tanh((b_n + W_n x) + r * (c_n + U_n h))
//   reset-before:  n = tanh(b_n + W_n x + U_n (r * h))
//   h' = z * h + (1 - z) * n
//
// Each sum is one chain, bias first, inputs ascending, then states ascending; reset-after's n has two.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// The chains of r, z and n after the input: from `projected`, or bias and product here.
template <int kLast, int kRows, int kPanels, int kVectors>
GRUCORE_INLINE void input_sums(Sums<3, kRows, kPanels, kVectors>& sums, const GruArgs& args, uint32_t bias_gates,
                               const Piece& piece, const uint32_t (&rows)[kRows]) {
  if (args.projected.data) {
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      const float* projected = args.projected.data + rows[r] * args.projected.stride;
      GRUCORE_UNROLL(4)
      for (int g = 0; g < 3; ++g) set_gate<kLast>(sums, g, r, projected, 3, g, piece);
    }
    return;
  }
  const float* x[kRows];
  GRUCORE_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    x[r] = args.x.data + rows[r] * args.x.stride;
    GRUCORE_UNROLL(4)
    for (int g = 0; g < 3; ++g) set_gate<kLast>(sums, g, r, args.cell->bias, bias_gates, g, piece);
  }
  accumulate<kLast>(sums, args.cell->weight_ih, piece, x);
}

template <int kGates, int kRows, int kPanels, int kVectors>
GRUCORE_INLINE void copy_gate(Sums<kGates, kRows, kPanels, kVectors>& sums, int to, F32* vectors) {
  GRUCORE_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    GRUCORE_UNROLL(8)
    for (int p = 0; p < kPanels; ++p) {
      GRUCORE_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) vectors[(r * kPanels + p) * kVectors + v] = sums.at[r][p][v][to];
    }
  }
}

GRUCORE_NOINLINE F32 gate_of_tile(const GruArgs& args, F32 x) { return gate_of(args.cell->activations, x); }
GRUCORE_NOINLINE F32 candidate_of_tile(const GruArgs& args, F32 z, F32 h, F32 x) {
  return blend(z, h, candidate_of(args.cell->activations, x));
}

// Bytes of weights that a step reads for one panel.
GRUCORE_INLINE size_t bytes_of_panel(const GruArgs& args) {
  const size_t inputs = args.projected.data ? 0 : args.cell->weight_ih.inputs;
  return 3 * kPanel * sizeof(float) * (inputs + args.cell->weight_hh.inputs);
}

template <int kRows>
struct ResetAfterTile {
  static constexpr bool kHasManyTiles = true;
  const GruArgs& args;
  uint32_t first;

  GRUCORE_INLINE size_t panel_bytes() const { return bytes_of_panel(args); }

  template <int kPanels, int kVectors, int kLast>
  GRUCORE_INLINE void tile(const Piece& piece) const {
    CellVectors<kRows * kPanels * kVectors> vectors;
    chains<kPanels, kVectors, kLast>(piece, vectors, 0);
    cells_of(args.cell->activations, vectors);
    store_states<kPanels * kVectors>(piece, vectors.h);
  }

  // Two pairs of panels one after the other, their cells together.
  GRUCORE_INLINE void two_pairs(const Piece& piece, const Piece& other) const {
    CellVectors<4> vectors;
    chains<2, 1, kLanes>(piece, vectors, 0);
    chains<2, 1, kLanes>(other, vectors, 2);
    cells_of(args.cell->activations, vectors);
    store_states<2>(piece, vectors.h);
    store_states<2>(other, vectors.h + 2);
  }

 private:
  GRUCORE_INLINE uint32_t row(int r) const { return row_in_group(args.rows, first, r); }

  // What the cells of a piece begin with, into vectors[at...].
  template <int kPanels, int kVectors, int kLast, int kCount>
  GRUCORE_INLINE void chains(const Piece& piece, CellVectors<kCount>& vectors, int at) const {
    uint32_t rows[kRows];
    const float* h[kRows];
    Sums<3, kRows, kPanels, kVectors> sums;
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      rows[r] = row(r);
      h[r] = args.h.data + rows[r] * args.h.stride;
    }
    input_sums<kLast>(sums, args, 4, piece, rows);
    copy_gate(sums, 2, vectors.candidate + at);
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) set_gate<kLast>(sums, 2, r, args.cell->bias, 4, 3, piece);
    accumulate<kLast>(sums, args.cell->weight_hh, piece, h);

    copy_gate(sums, 0, vectors.reset + at);
    copy_gate(sums, 1, vectors.update + at);
    copy_gate(sums, 2, vectors.recurrent + at);
    F32* before = vectors.h + at;
    GRUCORE_UNROLL(1)
    for (int r = 0; r < kRows; ++r) {
      GRUCORE_UNROLL(1)
      for (int v = 0; v < kPanels * kVectors; ++v) *before++ = load(h[r] + piece.row + piece.lane + v * kLanes);
    }
  }

  template <int kVectors>
  GRUCORE_INLINE void store_states(const Piece& piece, const F32* states) const {
    GRUCORE_UNROLL(1)
    for (int r = 0; r < kRows; ++r) {
      float* out = args.out.data + row(r) * args.out.stride + piece.row + piece.lane;
      GRUCORE_UNROLL(1)
      for (int v = 0; v < kVectors; ++v) store(out + v * kLanes, *states++);
    }
  }
};

// A row of scratch: r * h, then z, then the chain of n, this far apart.
GRUCORE_INLINE size_t scratch_part(const GruArgs& args) { return round_up(args.cell->weight_hh.rows, kPanel); }

template <int kRows>
struct ResetBeforeGates {
  static constexpr bool kHasManyTiles = false;
  const GruArgs& args;
  uint32_t first;

  template <int kPanels, int kVectors, int kLast>
  GRUCORE_INLINE void tile(const Piece& piece) const {
    const size_t hidden = scratch_part(args);
    uint32_t rows[kRows];
    const float* h[kRows];
    Sums<3, kRows, kPanels, kVectors> input;
    Sums<2, kRows, kPanels, kVectors> sums;
    F32 candidate[kRows][kPanels][kVectors];
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      rows[r] = row_in_group(args.rows, first, r);
      h[r] = args.h.data + rows[r] * args.h.stride;
    }
    input_sums<kLast>(input, args, 3, piece, rows);
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      GRUCORE_UNROLL(8)
      for (int p = 0; p < kPanels; ++p) {
        GRUCORE_UNROLL(4)
        for (int v = 0; v < kVectors; ++v) {
          sums.at[r][p][v][0] = input.at[r][p][v][0];
          sums.at[r][p][v][1] = input.at[r][p][v][1];
        }
      }
    }
    copy_gate(input, 2, &candidate[0][0][0]);
    accumulate<kLast>(sums, args.cell->weight_hh, piece, h);

    F32 reset[kRows][kPanels][kVectors], update[kRows][kPanels][kVectors];
    copy_gate(sums, 0, &reset[0][0][0]);
    copy_gate(sums, 1, &update[0][0][0]);
    GRUCORE_UNROLL(1)
    for (int r = 0; r < kRows; ++r) {
      float* scratch = args.scratch.data + rows[r] * args.scratch.stride + piece.row + piece.lane;
      const float* before = h[r] + piece.row + piece.lane;
      GRUCORE_UNROLL(1)
      for (int p = 0; p < kPanels; ++p) {
        for (int v = 0; v < kVectors; ++v) {
          const size_t at = static_cast<size_t>(p) * kPanel + static_cast<size_t>(v) * kLanes;
          const F32 gated = mul(gate_of_tile(args, reset[r][p][v]), load(before + at));
          store(scratch + at, flush_denormals(gated));
          store(scratch + hidden + at, gate_of_tile(args, update[r][p][v]));
          store(scratch + 2 * hidden + at, candidate[r][p][v]);
        }
      }
    }
  }
};

template <int kRows>
struct ResetBeforeCandidate {
  static constexpr bool kHasManyTiles = false;
  const GruArgs& args;
  uint32_t first;

  template <int kPanels, int kVectors, int kLast>
  GRUCORE_INLINE void tile(const Piece& piece) const {
    const size_t hidden = scratch_part(args);
    uint32_t rows[kRows];
    const float* gated[kRows];
    Sums<1, kRows, kPanels, kVectors> sums;
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      rows[r] = row_in_group(args.rows, first, r);
      gated[r] = args.scratch.data + rows[r] * args.scratch.stride;
      set_gate<kLast>(sums, 0, r, gated[r] + 2 * hidden, 1, 0, piece);
    }
    accumulate<kLast>(sums, args.cell->weight_hn, piece, gated);

    F32 candidate[kRows][kPanels][kVectors];
    copy_gate(sums, 0, &candidate[0][0][0]);
    GRUCORE_UNROLL(1)
    for (int r = 0; r < kRows; ++r) {
      const size_t from = piece.row + piece.lane;
      float* out = args.out.data + rows[r] * args.out.stride + from;
      const float* before = args.h.data + rows[r] * args.h.stride + from;
      const float* update = gated[r] + hidden + from;
      GRUCORE_UNROLL(1)
      for (int p = 0; p < kPanels; ++p) {
        for (int v = 0; v < kVectors; ++v) {
          const size_t at = static_cast<size_t>(p) * kPanel + static_cast<size_t>(v) * kLanes;
          const F32 z = load(update + at);
          const F32 h_before = load(before + at);
          store(out + at, candidate_of_tile(args, z, h_before, candidate[r][p][v]));
        }
      }
    }
  }
};

void gru_step(const GruArgs& args) {
  const uint32_t units = args.cell->weight_hh.rows;
  const uint32_t count = args.rows.count;
  const Grouping grouping(count, units / kPanel * bytes_of_panel(args) > kManyBytes);
  if (args.cell->weight_hn.data) {
    if (grouping.in_groups) {
      for_each_vector(units, RowGroups<GruArgs, ResetBeforeGates>{args, grouping});
      for_each_vector(units, RowGroups<GruArgs, ResetBeforeCandidate>{args, grouping});
    }
    for (uint32_t i = grouping.in_groups; i < count; ++i) {
      for_each_piece<kStepVectors>(units, args.backwards, ResetBeforeGates<1>{args, i});
      for_each_piece<kStepVectors>(units, args.backwards, ResetBeforeCandidate<1>{args, i});
    }
  } else {
    if (grouping.in_groups) for_each_vector(units, RowGroups<GruArgs, ResetAfterTile>{args, grouping});
    for (uint32_t i = grouping.in_groups; i < count; ++i) {
      for_each_piece<kStepVectors>(units, args.backwards, ResetAfterTile<1>{args, i});
    }
  }
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
