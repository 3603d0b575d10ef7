// Products of packed weights with rows of activations. Included once per instruction set, inside its
// target region.
//
// Parts of a matrix have three names, here and in all kernels:
//   panel   16 output rows of a weight side by side, as panel16 stores them (docs/format.md); the last may be narrower
//   vector  kLanes neighbouring rows of a panel, one in each lane of a register; the last may have fewer lanes
//   tile    some rows of activations times some vectors of neighbouring panels, whose sums stay in registers
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// The outputs of a tile: neighbouring panels from row `row`, and in each of them some vectors from lane `lane`.
struct Tile {
  uint32_t row;
  uint32_t width;  // of the last panel; the others have kPanel rows
  uint32_t lane;
  uint32_t last;  // lanes of the last vector, where kLast is kAnyLanes
};

// Sums of kRows rows of activations over kPanels panels, kVectors vectors in each, kGates gates.
// The last vector of the last panel has kLast lanes.
template <int kGates, int kRows, int kPanels, int kVectors>
struct Sums {
  F32 at[kRows][kPanels][kVectors][kGates];
};

// Vector v of panel p of a tile of kPanels panels.
template <int kLast, int kPanels, int kVectors>
GRUCORE_INLINE F32 load_of_tile(const float* from, int p, int v, const Tile& tile) {
  const bool is_last = p == kPanels - 1 && v == kVectors - 1;
  if constexpr (kLast == kAnyLanes) {
    return is_last ? load_n(from, static_cast<int>(tile.last)) : load(from);
  } else {
    return is_last ? load_lanes<kLast>(from) : load(from);
  }
}

// Floats from one gate of panel p to the next: only the last one may be narrower than the others.
template <int kPanels>
GRUCORE_INLINE size_t width_of(int p, const Tile& tile) {
  return p == kPanels - 1 ? tile.width : kPanel;
}

// sums += weights * x, inputs ascending: one chain of mul_add per output (contract: docs/numerics.md).
template <int kLast, int kGates, int kRows, int kPanels, int kVectors>
GRUCORE_INLINE void accumulate(Sums<kGates, kRows, kPanels, kVectors>& sums, const PanelWeights& weights,
                               const Tile& tile, const float* const (&x)[kRows]) {
  const size_t inputs = weights.inputs;
  const float* w[kPanels];
  GRUCORE_UNROLL(4)
  for (int p = 0; p < kPanels; ++p) {
    w[p] = weights.data + (tile.row + static_cast<size_t>(p) * kPanel) * kGates * inputs + tile.lane;
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
          const float* from = w[p] + static_cast<size_t>(g) * width_of<kPanels>(p, tile) + v * kLanes;
          weight[g][v] = load_of_tile<kLast, kPanels, kVectors>(from, p, v, tile);
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
      w[p] += kGates * width_of<kPanels>(p, tile);
    }
  }
}

// Sets gate `to` of the sums to gate `gate` of values laid out as panel16 with `gates` gates and k = 1.
template <int kLast, int kGates, int kRows, int kPanels, int kVectors>
GRUCORE_INLINE void set_gate(Sums<kGates, kRows, kPanels, kVectors>& sums, int to, int r, const float* values,
                             uint32_t gates, int gate, const Tile& tile) {
  GRUCORE_UNROLL(8)
  for (int p = 0; p < kPanels; ++p) {
    const float* from =
        values + (tile.row + static_cast<size_t>(p) * kPanel) * gates + gate * width_of<kPanels>(p, tile) + tile.lane;
    GRUCORE_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      sums.at[r][p][v][to] = load_of_tile<kLast, kPanels, kVectors>(from + v * kLanes, p, v, tile);
    }
  }
}

// Calls op.run<panels, vectors of a panel, lanes of the last one>(tile) for the outputs one vector at a time.
template <class Op>
GRUCORE_INLINE void tiles_of_vectors(uint32_t rows, const Op& op) {
  for (uint32_t row = 0; row < rows; row += kPanel) {
    const uint32_t width = rows - row < kPanel ? padded_rows(rows - row) : kPanel;
    for (uint32_t lane = 0; lane < width; lane += kLanes) {
      const uint32_t left = width - lane;
      const Tile tile = {row, width, lane, left < kLanes ? left : kLanes};
      constexpr bool kWhole = !kHasMasks || Op::kHasWhole;
      if (kWhole && left >= static_cast<uint32_t>(kLanes)) {
        op.template run<1, 1, kWhole ? kLanes : kAnyLanes>(tile);
      } else {
        op.template run<1, 1, kHasMasks ? kAnyLanes : 4>(tile);
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
    op.template run<kPanels, kPanelVectors, kLanes>(Tile{row, kPanel, 0, 0});
  }
}

// The rows left after whole panels.
template <class Op>
GRUCORE_INLINE void last_panel(uint32_t rows, uint32_t row, const Op& op) {
  if (row == rows) return;
  const uint32_t width = padded_rows(rows - row);
  GRUCORE_UNROLL(1)
  for (uint32_t lane = 0; lane < width; lane += kLanes) {
    const Tile tile = {row, width, lane, width - lane};
    if (kHasMasks || width - lane < static_cast<uint32_t>(kLanes)) {
      op.template run<1, 1, kHasMasks ? kAnyLanes : 4>(tile);
    } else {
      op.template run<1, 1, kLanes>(tile);
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

// Where masks cost nothing: tiles of three and four panels, the last panel whole or not. Three or four keep the
// multipliers busy; fewer wait for their own sums.
struct TileSizes {
  uint32_t threes, count;

  GRUCORE_INLINE explicit TileSizes(uint32_t panels) : threes(panels == 5 ? 1 : (4 - panels % 4) % 4) {
    if (threes * 3 > panels) threes = 0;
    count = threes + (panels - threes * 3 + 3) / 4;
  }
  GRUCORE_INLINE uint32_t first(uint32_t i) const { return i < threes ? i * 3 : i * 4 - threes; }
};

// True if reading the weights takes longer than multiplying. A tile is two panels then: what one step reads last, the
// next one reads first, going the other way, and a smaller tile is more likely to be in a cache still.
constexpr size_t kFirstCache = 48 * 1024, kManyBytes = 256 * 1024;
GRUCORE_INLINE bool are_far(uint32_t rows, size_t panel_bytes) {
  const size_t bytes = (rows + kPanel - 1) / kPanel * panel_bytes;
  return bytes > kManyBytes || (bytes > kFirstCache && 2 * panel_bytes <= kFirstCache);
}

template <int kLast, class Op>
GRUCORE_INLINE void run_tile(uint32_t panels, const Tile& tile, const Op& op) {
  switch (panels) {
    case 1: op.template run<1, 1, kLast>(tile); break;
    case 2: op.template run<2, 1, kLast>(tile); break;
    case 3: op.template run<3, 1, kLast>(tile); break;
    default: op.template run<4, 1, kLast>(tile); break;
  }
}
// The rows from `row` up to `end`, at most four panels.
template <class Op>
GRUCORE_INLINE void run_between(uint32_t row, uint32_t end, const Op& op) {
  const uint32_t panels = (end - row + kPanel - 1) / kPanel;
  const uint32_t width = padded_rows(end - row) - (panels - 1) * kPanel;
  if constexpr (Op::kHasWhole) {
    if (width == kPanel) return run_tile<kLanes>(panels, {row, kPanel, 0, 0}, op);
    if (width == kPanel / 2) return run_tile<kPanel / 2>(panels, {row, kPanel / 2, 0, 0}, op);
  }
  run_tile<kAnyLanes>(panels, {row, width, 0, width}, op);
}

// The tiles of `rows` outputs for a single row of activations, as wide as kMost vectors allow; `panel_bytes` of
// weights are read for a panel. Each specialisation costs code: an Op asks for its own where masks would do too.
// kHasWhole: for whole panels and for half of the last one; kHasPairs: for two pairs of panels, where the weights are
// far.
template <int kMost, bool kInTiles = kHasMasks && kMost == 4>
struct Tiles {
  uint32_t rows;

  template <class>
  static GRUCORE_INLINE Tiles of(uint32_t rows, size_t) {
    return {rows};
  }
  template <class Op>
  GRUCORE_INLINE void each(bool backwards, const Op& op) const {
    for_each_panel<kMost>(rows, backwards, op);
  }
};

template <int kMost>
struct Tiles<kMost, true> {
  static constexpr uint32_t kFour = 4 * kPanel;
  uint32_t rows, fours;
  TileSizes sizes;

  template <class Op>
  static GRUCORE_INLINE Tiles of(uint32_t rows, size_t panel_bytes) {
    const uint32_t fours = Op::kHasPairs && are_far(rows, panel_bytes) ? rows / kFour : 0;
    return {rows, fours, TileSizes((rows - fours * kFour + kPanel - 1) / kPanel)};
  }

  template <class Op>
  GRUCORE_INLINE void each(bool backwards, const Op& op) const {
    const uint32_t count = fours + sizes.count;
    GRUCORE_UNROLL(1)
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t at = backwards ? count - 1 - i : i;
      if constexpr (Op::kHasPairs) {
        if (at < fours) {
          const Tile low = {at * kFour, kPanel, 0, 0}, high = {at * kFour + 2 * kPanel, kPanel, 0, 0};
          op.two_pairs(backwards ? high : low, backwards ? low : high);
          continue;
        }
      }
      const uint32_t row = fours * kFour + sizes.first(at - fours) * kPanel;
      run_between(row, at + 1 == count ? rows : fours * kFour + sizes.first(at - fours + 1) * kPanel, op);
    }
  }
};

// How many rows of activations tiles have, so that one pass over the weights serves several; where a tile is short of
// rows, its last one takes their places. A row that is left goes alone.
struct TileHeights {
  uint32_t in_full;   // rows in tiles of kTileRows
  uint32_t in_tiles;  // and in those of half as many, where they are eight

  // `is_far`: the weights are not in a near cache, so that reading them costs more than some products in vain.
  GRUCORE_INLINE TileHeights(uint32_t count, bool is_far) : in_full(0), in_tiles(0) {
    constexpr uint32_t kMost = kTileRows, kHalf = kMost == 8 ? 4 : kMost;
    in_full = count / kMost * kMost;
    const uint32_t left = count - in_full;
    const bool fills = kMost > kHalf ? left > kHalf + 1 || (left == kHalf + 1 && is_far) : left > 1;
    if (fills) in_full = count;
    in_tiles = in_full;
    if (kMost > kHalf && count - in_full > 1) in_tiles += count - in_full < kHalf ? count - in_full : kHalf;
  }
};
template <class Op, int kPanels, int kVectors, int kLast>
GRUCORE_NOINLINE void run_apart(const Op& op, const Tile& tile) {
  op.template run<kPanels, kVectors, kLast>(tile);
}

// All rows under each tile's weights in turn, so that these are read from far away once. Each specialisation costs
// code: where there are masks, whole vectors have one only if the Op asks for it.
template <class Args, template <int> class Op>
struct TilesOfRows {
  static constexpr bool kHasWhole = Op<kTileRows>::kHasWhole;
  const Args& args;
  const TileHeights& heights;

  template <int kPanels, int kVectors, int kLast>
  GRUCORE_INLINE void run(const Tile& tile) const {
    uint32_t first = 0;
    for (; first < heights.in_full; first += kTileRows) {
      Op<kTileRows>{args, first}.template run<kPanels, kVectors, kLast>(tile);
    }
    if constexpr (kTileRows == 8) {
      if (heights.in_full == heights.in_tiles) return;
      run_apart<Op<4>, kPanels, kVectors, kLast>({args, heights.in_full}, tile);
    }
  }
};

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
