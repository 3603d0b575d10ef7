// Steps of the GRU cell. Included once per instruction set, inside its target region.
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

// Where the values of kRows rows from `first` on stand at one frame.
template <int kRows>
struct FrameRows {
  const FloatStepArgs& args;
  uint32_t first;

  GRUCORE_INLINE uint32_t row(int r) const { return row_in_tile(args.rows, first, r); }
  GRUCORE_INLINE const float* x(int r) const { return args.x.data + row(r) * args.x.stride; }
  GRUCORE_INLINE const float* projected(int r) const { return args.projected.data + row(r) * args.projected.stride; }
  GRUCORE_INLINE const float* h(int r) const { return args.h.data + row(r) * args.h.stride; }
  GRUCORE_INLINE float* out(int r) const { return args.out.data + row(r) * args.out.stride; }
  GRUCORE_INLINE float* scratch(int r) const { return args.scratch.data + row(r) * args.scratch.stride; }
};
// The arguments of a single row, worked out once for all of its frames; the input is there as x or as `projected`.
template <>
struct FrameRows<1> {
  const FloatStepArgs& args;
  const ConstMatrix& input;
  size_t row;
  const float *input_at, *h_at;
  float* out_at;

  GRUCORE_INLINE FrameRows(const FloatStepArgs& of, uint32_t i)
      : args(of), input(of.projected.data ? of.projected : of.x), row(row_at(of.rows, i)) {
    input_at = input.data;
    h_at = args.h.data;
    out_at = args.out.data;
    if (row == 0) return;  // as that of a stream of its own: three products less
    input_at += row * input.stride;
    h_at += row * args.h.stride;
    out_at += row * args.out.stride;
  }
  GRUCORE_INLINE void next_frame() {
    input_at += args.frame_rows * static_cast<ptrdiff_t>(input.stride);
    h_at = out_at;
    out_at += args.frame_rows * static_cast<ptrdiff_t>(args.out.stride);
  }
  GRUCORE_INLINE const float* x(int) const { return input_at; }
  GRUCORE_INLINE const float* projected(int) const { return input_at; }
  GRUCORE_INLINE const float* h(int) const { return h_at; }
  GRUCORE_INLINE float* out(int) const { return out_at; }
  GRUCORE_INLINE float* scratch(int) const { return args.scratch.data + row * args.scratch.stride; }
};

// The chains of all gates after the input: from `projected`, or bias and product here.
template <int kLast, int kGates, int kRows, int kPanels, int kVectors>
GRUCORE_INLINE void input_sums(Sums<kGates, kRows, kPanels, kVectors>& sums, const FrameRows<kRows>& rows,
                               uint32_t bias_gates, const Tile& tile) {
  const FloatStepArgs& args = rows.args;
  if (args.projected.data) {
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      const float* projected = rows.projected(r);
      GRUCORE_UNROLL(4)
      for (int g = 0; g < kGates; ++g) set_gate<kLast>(sums, g, r, projected, kGates, g, tile);
    }
    return;
  }
  const float* x[kRows];
  GRUCORE_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    x[r] = rows.x(r);
    GRUCORE_UNROLL(4)
    for (int g = 0; g < kGates; ++g) set_gate<kLast>(sums, g, r, args.cell->bias, bias_gates, g, tile);
  }
  accumulate<kLast>(sums, args.cell->weight_ih, tile, x);
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

GRUCORE_NOINLINE F32 gate_of_tile(const FloatStepArgs& args, F32 x) { return gate_of(args.cell->activations, x); }
GRUCORE_NOINLINE F32 candidate_of_tile(const FloatStepArgs& args, F32 z, F32 h, F32 x) {
  return blend(z, h, candidate_of(args.cell->activations, x));
}

// Bytes of weights that a step reads for one panel.
GRUCORE_INLINE size_t bytes_of_panel(const FloatStepArgs& args) {
  const size_t inputs = args.projected.data ? 0 : args.cell->weight_ih.inputs;
  return 3 * kPanel * sizeof(float) * (inputs + args.cell->weight_hh.inputs);
}

template <int kRows>
struct ResetAfterOp {
  static constexpr bool kHasWhole = true, kHasPairs = kRows == 1;
  const FrameRows<kRows>& rows;

  template <int kPanels, int kVectors, int kLast>
  GRUCORE_INLINE void run(const Tile& tile) const {
    CellVectors<kRows * kPanels * kVectors> vectors;
    chains<kPanels, kVectors, kLast>(tile, vectors, 0);
    cells_of(rows.args.cell->activations, vectors);
  }

  // Two pairs of panels one after the other, their cells together.
  GRUCORE_INLINE void two_pairs(const Tile& tile, const Tile& other) const {
    CellVectors<4> vectors;
    chains<2, 1, kLanes>(tile, vectors, 0);
    chains<2, 1, kLanes>(other, vectors, 2);
    cells_of(rows.args.cell->activations, vectors);
  }

 private:
  // The starts of the cells of a tile, into vectors[at...].
  template <int kPanels, int kVectors, int kLast, int kCount>
  GRUCORE_INLINE void chains(const Tile& tile, CellVectors<kCount>& vectors, int at) const {
    const FloatCell& cell = *rows.args.cell;
    const float* h[kRows];
    Sums<3, kRows, kPanels, kVectors> sums;
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) h[r] = rows.h(r);
    input_sums<kLast>(sums, rows, 4, tile);
    copy_gate(sums, 2, vectors.candidate + at);
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) set_gate<kLast>(sums, 2, r, cell.bias, 4, 3, tile);
    accumulate<kLast>(sums, cell.weight_hh, tile, h);

    copy_gate(sums, 0, vectors.reset + at);
    copy_gate(sums, 1, vectors.update + at);
    copy_gate(sums, 2, vectors.recurrent + at);
    GRUCORE_UNROLL(1)
    for (int r = 0; r < kRows; ++r) {
      const float* before = h[r] + tile.row + tile.lane;
      float* after = rows.out(r) + tile.row + tile.lane;
      GRUCORE_UNROLL(1)
      for (int v = 0; v < kPanels * kVectors; ++v, ++at, before += kLanes, after += kLanes) {
        vectors.h[at] = before;
        vectors.out[at] = after;
      }
    }
  }
};

// A row of scratch: r * h, then z, then the chain of n, this far apart.
GRUCORE_INLINE size_t scratch_part(const FloatStepArgs& args) { return round_up(args.cell->weight_hh.rows, kPanel); }

template <int kRows>
struct ResetBeforeGates {
  static constexpr bool kHasWhole = false, kHasPairs = false;
  const FrameRows<kRows>& rows;

  template <int kPanels, int kVectors, int kLast>
  GRUCORE_INLINE void run(const Tile& tile) const {
    const FloatStepArgs& args = rows.args;
    const size_t hidden = scratch_part(args);
    const float* h[kRows];
    Sums<3, kRows, kPanels, kVectors> input;
    Sums<2, kRows, kPanels, kVectors> sums;
    F32 candidate[kRows][kPanels][kVectors];
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) h[r] = rows.h(r);
    input_sums<kLast>(input, rows, 3, tile);
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
    accumulate<kLast>(sums, args.cell->weight_hh, tile, h);

    F32 reset[kRows][kPanels][kVectors], update[kRows][kPanels][kVectors];
    copy_gate(sums, 0, &reset[0][0][0]);
    copy_gate(sums, 1, &update[0][0][0]);
    GRUCORE_UNROLL(1)
    for (int r = 0; r < kRows; ++r) {
      float* scratch = rows.scratch(r) + tile.row + tile.lane;
      const float* before = h[r] + tile.row + tile.lane;
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
  static constexpr bool kHasWhole = false, kHasPairs = false;
  const FrameRows<kRows>& rows;

  template <int kPanels, int kVectors, int kLast>
  GRUCORE_INLINE void run(const Tile& tile) const {
    const FloatStepArgs& args = rows.args;
    const size_t hidden = scratch_part(args);
    const float* gated[kRows];
    Sums<1, kRows, kPanels, kVectors> sums;
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      gated[r] = rows.scratch(r);
      set_gate<kLast>(sums, 0, r, gated[r] + 2 * hidden, 1, 0, tile);
    }
    accumulate<kLast>(sums, args.cell->weight_hn, tile, gated);

    F32 candidate[kRows][kPanels][kVectors];
    copy_gate(sums, 0, &candidate[0][0][0]);
    GRUCORE_UNROLL(1)
    for (int r = 0; r < kRows; ++r) {
      const size_t from = tile.row + tile.lane;
      float* out = rows.out(r) + from;
      const float* before = rows.h(r) + from;
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

// Tiles of several rows at one frame.
template <template <int> class Op>
struct AtFrame {
  template <int kRows>
  struct Of {
    static constexpr bool kHasWhole = Op<kRows>::kHasWhole;
    FrameRows<kRows> rows;

    template <int kPanels, int kVectors, int kLast>
    GRUCORE_INLINE void run(const Tile& tile) const {
      Op<kRows>{rows}.template run<kPanels, kVectors, kLast>(tile);
    }
  };
};

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore

#include "kernels/bodies/small-inl.h"

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

GRUCORE_NOINLINE void steps_of_tiles(const FloatStepArgs& first, const TileHeights& heights) {
  const uint32_t units = first.cell->weight_hh.rows;
  FloatStepArgs args = first;
  for (uint32_t i = 0;; ++i) {
    if (args.cell->weight_hn.data) {
      tiles_of_vectors(units, TilesOfRows<FloatStepArgs, AtFrame<ResetBeforeGates>::Of>{args, heights});
      tiles_of_vectors(units, TilesOfRows<FloatStepArgs, AtFrame<ResetBeforeCandidate>::Of>{args, heights});
    } else {
      tiles_of_vectors(units, TilesOfRows<FloatStepArgs, AtFrame<ResetAfterOp>::Of>{args, heights});
    }
    if (i + 1 == first.frames) return;
    ConstMatrix& input = args.projected.data ? args.projected : args.x;
    input.data += args.frame_rows * static_cast<ptrdiff_t>(input.stride);
    args.h.data = args.out.data;
    args.h.stride = args.out.stride;
    args.out.data += args.frame_rows * static_cast<ptrdiff_t>(args.out.stride);
  }
}

GRUCORE_NOINLINE void steps_of_row(const FloatStepArgs& args, uint32_t i) {
  const uint32_t units = args.cell->weight_hh.rows;
  const uint32_t frames = args.frames;
  const bool is_reset_before = args.cell->weight_hn.data;
  bool backwards = args.backwards;
  FrameRows<1> rows(args, i);
  const auto tiles = is_reset_before ? Tiles<kStepVectors>::of<ResetBeforeGates<1>>(units, 0)
                                     : Tiles<kStepVectors>::of<ResetAfterOp<1>>(units, bytes_of_panel(args));
  for (uint32_t frame = 0;;) {
    if (is_reset_before) {
      tiles.each(backwards, ResetBeforeGates<1>{rows});
      tiles.each(backwards, ResetBeforeCandidate<1>{rows});
    } else {
      tiles.each(backwards, ResetAfterOp<1>{rows});
    }
    if (++frame == frames) return;
    rows.next_frame();
    backwards = !backwards;
  }
}

// Copies the state after the last frame to where the next block reads it.
GRUCORE_NOINLINE void keep_row(const FloatStepArgs& args) {
  const float* from = args.out.data + static_cast<ptrdiff_t>(args.frames - 1) * args.frame_rows *
                                          static_cast<ptrdiff_t>(args.out.stride);
  const size_t padded = round_up(args.cell->weight_hh.rows, kPanel);
  for (size_t i = 0; i < padded; i += kLanes) store(args.keep + i, load(from + i));
}

void gru_steps(const FloatStepArgs& args) {
  if (args.rows.count == 1) {
    if (!args.rows.index && !args.cell->weight_hn.data && took_small_steps<3>(args)) return;
    steps_of_row(args, 0);
    if (args.keep) keep_row(args);
    return;
  }
  const bool is_far = args.cell->weight_hh.rows / kPanel * bytes_of_panel(args) > kManyBytes;
  const TileHeights heights(args.rows.count, is_far);
  if (heights.in_tiles) steps_of_tiles(args, heights);
  for (uint32_t i = heights.in_tiles; i < args.rows.count; ++i) steps_of_row(args, i);
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
