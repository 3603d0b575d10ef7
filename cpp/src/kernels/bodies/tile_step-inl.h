// Steps of many rows with int8 weights, in tile registers. Included once per instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

// The products of one panel and one block of rows, on their way: what a processor multiplies while it works on the
// cells of those before. Tiles have a unit of their own, but it would not look so far ahead by itself.
template <int kBits>
class TilesOfStep {
 public:
  using Gates = Column<kBits>[3];
  struct Chains {
    Gates input, recurrent;
  };

  GRUCORE_INLINE TilesOfStep(const PanelStepArgs& args, uint32_t height)
      : input_(args.input.weights ? args.input : args.recurrent),
        recurrent_(args.recurrent),
        projects_(args.input.weights != nullptr),
        shapes_(height, input_),
        left_(0) {}

  const TileMatrix& input() const { return input_; }
  const TileMatrix& recurrent() const { return recurrent_; }

  // Tiles of inputs of a panel and a block.
  GRUCORE_INLINE uint32_t tiles() const {
    return (tiles_of(recurrent_) + (projects_ ? tiles_of(input_) : 0)) * kPlanes<kBits>;
  }
  GRUCORE_INLINE void begin(uint32_t panel, uint32_t row, Chains* to) {
    panel_ = panel;
    row_ = row;
    to_ = to;
    part_ = projects_ ? 0 : kPlanes<kBits>;
    begin_part();
  }
  // Up to so many of them.
  GRUCORE_INLINE void go_on(uint32_t tiles) {
    for (; tiles && part_ < 2 * kPlanes<kBits>; --tiles) {
      if (left_ > 1 || !run_.last_fours) {
        run_.add_tile();
      } else {
        run_.add_last();
      }
      if (--left_) continue;
      const int plane = part_ % kPlanes<kBits>;
      Gates& gates = part_ < kPlanes<kBits> ? to_->input : to_->recurrent;
      run_.finish(&gates[0][plane], kPlanes<kBits>);
      if (++part_ < 2 * kPlanes<kBits>) begin_part();
    }
  }
  GRUCORE_INLINE void finish() { go_on(UINT32_MAX); }

 private:
  static GRUCORE_INLINE uint32_t tiles_of(const TileMatrix& matrix) {
    return (matrix.fours + kTileFours - 1) / kTileFours;
  }
  GRUCORE_INLINE void begin_part() {
    const TileMatrix& matrix = part_ < kPlanes<kBits> ? input_ : recurrent_;
    const int plane = part_ % kPlanes<kBits>;
    for (uint32_t g = 0; g < 3; ++g) run_.weights[g] = matrix.gate(panel_, g);
    run_.bytes = matrix.activations(row_) + matrix.header + plane * matrix.plane;
    run_.pitch = matrix.pitch(panel_);
    run_.stride = matrix.quantized_stride;
    run_.last_fours = matrix.last_fours(panel_);
    left_ = tiles_of(matrix);
    shapes_.set(matrix.width(panel_), run_.last_fours);
    run_.start();
  }

  const TileMatrix input_, recurrent_;
  const bool projects_;
  ShapesInUse shapes_;
  TileRun<3> run_;
  Chains* to_;
  uint32_t panel_, row_, left_;
  int part_;  // planes of the input product, then those of the recurrent one
};

// The cells of one panel and one block of rows.
template <int kBits>
struct CellsOfTiles {
  using Chains = typename TilesOfStep<kBits>::Chains;
  const PanelStepArgs& args;
  const TileMatrix &input, &recurrent;
  const bool projects;
  uint32_t panel;
  int lanes;
  F32 scales[6], bias[4];

  GRUCORE_INLINE CellsOfTiles(const PanelStepArgs& step, const TilesOfStep<kBits>& tiles, uint32_t number)
      : args(step),
        input(tiles.input()),
        recurrent(tiles.recurrent()),
        projects(step.input.weights != nullptr),
        panel(number),
        lanes(static_cast<int>(tiles.recurrent().width(number))) {
    for (uint32_t g = 0; g < 3; ++g) {
      scales[g] = load_n(input.scales_of(number, g), lanes);
      scales[3 + g] = load_n(recurrent.scales_of(number, g), lanes);
    }
    const float* const from = step.bias + size_t{number} * kPanel * 4;
    for (int g = 0; g < 4; ++g) bias[g] = load_n(from + g * lanes, lanes);
  }

  // Adds row r of the block that begins at row `first` to the vectors.
  GRUCORE_INLINE void collect(const Chains& chains, uint32_t first, uint32_t r, CellVectors<4>& to, int i) const {
    const size_t row = row_at(args.cell.rows, r);
    F32 of_input[3], of_states[3];
    if (projects) {
      const F32 scale = broadcast(input.scale_of(r));
      GRUCORE_UNROLL(3)
      for (int g = 0; g < 3; ++g) {
        of_input[g] = add(bias[g], mul(mul(column_sum<kBits>(chains.input[g], r - first), scale), scales[g]));
      }
    } else {
      const float* const from = args.input.y.data + row * args.input.y.stride + size_t{panel} * kPanel * 3;
      GRUCORE_UNROLL(3)
      for (int g = 0; g < 3; ++g) of_input[g] = load_n(from + g * lanes, lanes);
    }
    const F32 scale = broadcast(recurrent.scale_of(r));
    GRUCORE_UNROLL(3)
    for (int g = 0; g < 3; ++g) {
      of_states[g] = mul(mul(column_sum<kBits>(chains.recurrent[g], r - first), scale), scales[3 + g]);
    }
    to.reset[i] = add(of_input[0], of_states[0]);
    to.update[i] = add(of_input[1], of_states[1]);
    to.candidate[i] = of_input[2];
    to.recurrent[i] = add(bias[3], of_states[2]);
    to.h[i] = args.cell.h.data + row * args.cell.h.stride + size_t{panel} * kPanel;
    to.out[i] = args.cell.out.data + row * args.cell.out.stride + size_t{panel} * kPanel;
  }
};

template <int kBits>
GRUCORE_NOINLINE void step_in_tiles(const PanelStepArgs& args) {
  const RowBlocks blocks(args.cell.rows.count);
  TilesOfStep<kBits> tiles(args, blocks.height);
  typename TilesOfStep<kBits>::Chains chains[2];
  const uint32_t panels = tiles.recurrent().panels, all = panels * blocks.blocks;
  const uint32_t share = (tiles.tiles() * 4 + blocks.height - 1) / blocks.height;
  const auto panel_of = [&](uint32_t i) {
    const uint32_t panel = i / blocks.blocks;
    return args.backwards ? panels - 1 - panel : panel;
  };
  tiles.begin(panel_of(0), blocks.first(0), &chains[0]);
  tiles.finish();
  for (uint32_t i = 0; i < all; ++i) {
    const uint32_t block = i % blocks.blocks, first = blocks.first(block), end = blocks.end(block);
    const typename TilesOfStep<kBits>::Chains& here = chains[i % 2];
    const bool has_next = i + 1 < all;
    if (has_next) tiles.begin(panel_of(i + 1), blocks.first((i + 1) % blocks.blocks), &chains[(i + 1) % 2]);
    const CellsOfTiles<kBits> cells(args, tiles, panel_of(i));
    CellVectors<4> vectors;
    for (uint32_t r = blocks.first_new(block); r < end; r += 4) {
      const uint32_t count = end - r < 4 ? end - r : 4;
      for (uint32_t j = 0; j < count; ++j) cells.collect(here, first, r + j, vectors, static_cast<int>(j));
      if (has_next) tiles.go_on(share);
      if (count == 4) {
        cells_of(args.cell.activations, vectors);
      } else {
        finish_cells(args.cell.activations, vectors, static_cast<int>(count));
      }
    }
    if (has_next) tiles.finish();
  }
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
