// Products of packed weights with rows of activations. Included once per instruction set, inside its
// target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// A piece of the outputs: `panels` neighbouring panels of `width` rows from row `row`, and in each of
// them some vectors from lane `lane`.
struct Piece {
  uint32_t row;
  uint32_t width;
  uint32_t lane;
  uint32_t last;  // lanes of a panel's last vector, where kLast is kAnyLanes
};

// Sums of kRows rows of activations over kPanels panels, kVectors vectors in each, kGates gates.
// The last vector of a panel has kLast lanes.
template <int kGates, int kRows, int kPanels, int kVectors>
struct Sums {
  F32 at[kRows][kPanels][kVectors][kGates];
};

template <int kLast, int kVectors>
GRUCORE_INLINE F32 load_vector(const float* p, int v, const Piece& piece) {
  if constexpr (kLast == kAnyLanes) {
    return load_n(p, static_cast<int>(piece.last));
  } else {
    return v == kVectors - 1 ? load_lanes<kLast>(p) : load(p);
  }
}

template <int kLast, int kVectors>
GRUCORE_INLINE void store_vector(float* p, F32 value, int v, const Piece& piece) {
  if constexpr (kLast == kAnyLanes) {
    store_n(p, value, static_cast<int>(piece.last));
  } else if (v == kVectors - 1) {
    store_lanes<kLast>(p, value);
  } else {
    store(p, value);
  }
}

// sums += weights * x, inputs ascending: one chain of mul_add per output (contract: docs/numerics.md).
template <int kLast, int kGates, int kRows, int kPanels, int kVectors>
GRUCORE_INLINE void accumulate(Sums<kGates, kRows, kPanels, kVectors>& sums, const PanelWeights& weights,
                               const Piece& piece, const float* const (&x)[kRows]) {
  const size_t inputs = weights.inputs;
  const size_t width = piece.width;
  const float* w[kPanels];
  GRUCORE_UNROLL(4)
  for (int p = 0; p < kPanels; ++p) {
    w[p] = weights.data + (piece.row + static_cast<size_t>(p) * kPanel) * kGates * inputs + piece.lane;
  }
  for (size_t k = 0; k < inputs; ++k) {
    GRUCORE_UNROLL(8)
    for (int p = 0; p < kPanels; ++p) {
      // Weights in registers, activations broadcast one by one: so all the sums of a tile stay in registers.
      F32 weight[kGates][kVectors];
      GRUCORE_UNROLL(4)
      for (int g = 0; g < kGates; ++g) {
        GRUCORE_UNROLL(4)
        for (int v = 0; v < kVectors; ++v) {
          weight[g][v] = load_vector<kLast, kVectors>(w[p] + static_cast<size_t>(g) * width + v * kLanes, v, piece);
        }
      }
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) {
        const F32 xk = broadcast(x[r][k]);
        GRUCORE_UNROLL(4)
        for (int g = 0; g < kGates; ++g) {
          GRUCORE_UNROLL(4)
          for (int v = 0; v < kVectors; ++v) sums.at[r][p][v][g] = mul_add(weight[g][v], xk, sums.at[r][p][v][g]);
        }
      }
      w[p] += kGates * width;
    }
  }
}

// Sets gate `to` of the sums to gate `gate` of values laid out as panel16 with `gates` gates and k = 1.
template <int kLast, int kGates, int kRows, int kPanels, int kVectors>
GRUCORE_INLINE void set_gate(Sums<kGates, kRows, kPanels, kVectors>& sums, int to, int r, const float* values,
                             uint32_t gates, int gate, const Piece& piece) {
  GRUCORE_UNROLL(8)
  for (int p = 0; p < kPanels; ++p) {
    const float* from = values + (piece.row + static_cast<size_t>(p) * kPanel) * gates +
                        gate * static_cast<size_t>(piece.width) + piece.lane;
    GRUCORE_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) sums.at[r][p][v][to] = load_vector<kLast, kVectors>(from + v * kLanes, v, piece);
  }
}

// Calls op.tile<panels, vectors of a panel, lanes of the last one>(piece) for the outputs one vector at a time.
template <class Op>
GRUCORE_INLINE void for_each_vector(uint32_t rows, const Op& op) {
  for (uint32_t row = 0; row < rows; row += kPanel) {
    const uint32_t width = rows - row < kPanel ? padded_rows(rows - row) : kPanel;
    for (uint32_t lane = 0; lane < width; lane += kLanes) {
      const uint32_t left = width - lane;
      const Piece piece = {row, width, lane, left};
      if (left >= static_cast<uint32_t>(kLanes)) {
        op.template tile<1, 1, kLanes>(piece);
      } else {
        op.template tile<1, 1, kHasMasks ? kAnyLanes : 4>(piece);
      }
    }
  }
}

// Tiles of kPanels whole panels from `from` to `to`, the last one first if `backwards`.
template <int kPanels, class Op>
GRUCORE_INLINE void tiles_of_panels(uint32_t from, uint32_t to, bool backwards, const Op& op) {
  constexpr uint32_t kRows = kPanels * kPanel;
  const uint32_t count = (to - from) / kRows;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t row = from + (backwards ? count - 1 - i : i) * kRows;
    op.template tile<kPanels, kPanelVectors, kLanes>(Piece{row, kPanel, 0, 0});
  }
}

// What is left after whole panels.
template <class Op>
GRUCORE_INLINE void last_panel(uint32_t rows, uint32_t row, const Op& op) {
  if (row == rows) return;
  const uint32_t width = padded_rows(rows - row);
  GRUCORE_UNROLL(1)
  for (uint32_t lane = 0; lane < width; lane += kLanes) {
    const Piece piece = {row, width, lane, width - lane};
    if (kHasMasks || width - lane < static_cast<uint32_t>(kLanes)) {
      op.template tile<1, 1, kHasMasks ? kAnyLanes : 4>(piece);
    } else {
      op.template tile<1, 1, kLanes>(piece);
    }
  }
}

// The same, whole panels at a time, as many as keep kMost vectors of one gate in flight. The order of panels is free.
template <int kMost, class Op>
GRUCORE_INLINE void for_each_panel(uint32_t rows, bool backwards, const Op& op) {
  constexpr uint32_t kPanels = kMost / kPanelVectors;
  const uint32_t whole = rows / kPanel * kPanel;
  const uint32_t eights = kPanels >= 8 ? whole / (8 * kPanel) * (8 * kPanel) : 0;
  const uint32_t fours = kPanels >= 4 ? whole / (4 * kPanel) * (4 * kPanel) : eights;
  const uint32_t twos = kPanels >= 2 ? whole / (2 * kPanel) * (2 * kPanel) : fours;
  constexpr int kSteps = 5;
  GRUCORE_UNROLL(1)  // each kind of tile stands in the code once
  for (int i = 0; i < kSteps; ++i) {
    switch (backwards ? kSteps - 1 - i : i) {
      case 0:
        if constexpr (kPanels >= 8) tiles_of_panels<8>(0, eights, backwards, op);
        break;
      case 1:
        if constexpr (kPanels >= 4) tiles_of_panels<4>(eights, fours, backwards, op);
        break;
      case 2:
        if constexpr (kPanels >= 2) tiles_of_panels<2>(fours, twos, backwards, op);
        break;
      case 3: tiles_of_panels<1>(twos, whole, backwards, op); break;
      default: last_panel(rows, whole, op); break;
    }
  }
}

// For a single row: the widest pieces that kMost vectors allow.
template <int kMost, class Op>
GRUCORE_INLINE void for_each_piece(uint32_t rows, bool backwards, const Op& op) {
  if constexpr (kMost < kPanelVectors) {
    for_each_vector(rows, op);
  } else {
    for_each_panel<kMost>(rows, backwards, op);
  }
}

// Rows that go through the kernels in groups of kBlockRows; the rest goes one by one.
GRUCORE_INLINE uint32_t grouped_rows(uint32_t count) { return kBlockRows > 1 ? count / kBlockRows * kBlockRows : 0; }

// All groups of rows under each piece in turn, so that its weights are read from far away once.
template <class Args, template <int> class Tile>
struct RowGroups {
  const Args& args;
  uint32_t count;

  template <int kPanels, int kVectors, int kLast>
  GRUCORE_INLINE void tile(const Piece& piece) const {
    for (uint32_t first = 0; first < count; first += kBlockRows) {
      Tile<kBlockRows>{args, first}.template tile<kPanels, kVectors, kLast>(piece);
    }
  }
};

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
