// Steps of layers whose gates are one chain each, LSTM and plain, a single row with float32 weights: everything of some
// panels in registers. Included once per instruction set, inside its target region, after gru-inl.h and gates-inl.h.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

template <int kGates>
struct GatesOp {
  static constexpr bool kHasWhole = true, kHasPairs = false;
  const FrameRows<1>& rows;

  template <int kPanels, int kVectors, int kLast>
  GRUCORE_INLINE void run(const Tile& tile) const {
    const FloatCell& cell = *rows.args.cell;
    const float* h[1] = {rows.h(0)};
    Sums<kGates, 1, kPanels, kVectors> sums;
    input_sums<kLast>(sums, rows, kGates, tile);
    accumulate<kLast>(sums, cell.weight_hh, tile, h);
    const size_t from = tile.row + tile.lane;
    GateVectors<kGates, kPanels * kVectors> vectors;
    copy_gates(sums, vectors);
    point(vectors, rows.out(0) + from, kGates == 4 ? rows.scratch(0) + from : nullptr);
    cells_of(cell.gate_activations, vectors);
  }

 private:
  template <int kPanels, int kVectors, int kCount>
  static GRUCORE_INLINE void copy_gates(Sums<4, 1, kPanels, kVectors>& sums, LstmVectors<kCount>& to) {
    copy_gate(sums, 0, to.input);
    copy_gate(sums, 1, to.forget);
    copy_gate(sums, 2, to.candidate);
    copy_gate(sums, 3, to.output);
  }
  template <int kPanels, int kVectors, int kCount>
  static GRUCORE_INLINE void copy_gates(Sums<1, 1, kPanels, kVectors>& sums, PlainVectors<kCount>& to) {
    copy_gate(sums, 0, to.sum);
  }
};

// Vectors at once: as many sums as stay in registers, and enough of them.
template <int kGates>
GRUCORE_NOINLINE void gate_steps_of_row(const FloatStepArgs& args) {
  constexpr int kPlain = 2 * kStepVectors, kLstm = kHasMasks ? kStepVectors : kPanelVectors;  // at least a panel
  constexpr int kMost = kGates == 1 ? kPlain : kLstm;
  FrameRows<1> rows(args, 0);
  bool backwards = args.backwards;
  const auto tiles = Tiles<kMost>::template of<GatesOp<kGates>>(args.cell->weight_hh.rows, 0);
  for (uint32_t frame = 0;;) {
    tiles.each(backwards, GatesOp<kGates>{rows});
    if (++frame == args.frames) break;
    rows.next_frame();
    backwards = !backwards;
  }
  if (args.keep) keep_row(args);
}

void gate_steps(const FloatStepArgs& args) {
  if (args.cell->weight_hh.gates == 4) {
    if (!args.rows.index && took_small_steps<4>(args)) return;
    return gate_steps_of_row<4>(args);
  }
  if (!args.rows.index && took_small_steps<1>(args)) return;
  gate_steps_of_row<1>(args);
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
