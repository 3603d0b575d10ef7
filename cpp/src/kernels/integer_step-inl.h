// One step of the reset-after cell with int8 and int4 weights. Included once per instruction set, inside its target
// region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// Both products of some panels, then their cells, which add what the products begin with: so an addition less is done
// in memory, and in the same order.
GRUCORE_INLINE void step_integer_panels(const PanelStepArgs& args) {
  const uint32_t units = args.cell.units;
  using Group = PanelGroup<AnyIntegerPanels::kPanels>;
  for (uint32_t i = 0; i < Group::count(units); ++i) {
    const Group group = Group::at(units, i, args.backwards);
    if (args.backwards) AnyIntegerPanels::run(args.recurrent, group.first, group.panels, true);
    if (args.input.weights) AnyIntegerPanels::run(args.input, group.first, group.panels, args.backwards);
    if (!args.backwards) AnyIntegerPanels::run(args.recurrent, group.first, group.panels, false);
    reset_after<true>(args, group.first, group.panels);
  }
}

#if GRUCORE_FUSED_INTEGER_STEP

// The gates' sums of a panel, for kRows rows, as floats: the product of docs/numerics.md.
template <int kBits, int kLast, int kRows>
GRUCORE_INLINE void gate_sums(const PackedWeights& weights, const Strip& strip, const Segment (&x)[kRows],
                              F32 (&sums)[kRows][3]) {
  set_zero(sums);
  sum_blocks<kBits, 3, kLast>(weights, strip, strip.weights, x, sums);
  GRUCORE_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    const F32 scale = broadcast(x[r].scale());
    GRUCORE_UNROLL(3)
    for (int g = 0; g < 3; ++g) {
      const F32 of_row = load_strip<kLast>(strip.scale + g * pitch_of<kLast>(strip), strip.lanes);
      sums[r][g] = mul(mul(sums[r][g], scale), of_row);
    }
  }
}

// GCC 12 runs out of registers where both products of rows of 16 bits stand in one function.
template <int kBits, int kLast, int kRows>
GRUCORE_NOINLINE void gate_sums_apart(const PackedWeights& weights, const Strip& strip, const Segment (&x)[kRows],
                                      F32 (&sums)[kRows][3]) {
  gate_sums<kBits, kLast>(weights, strip, x, sums);
}
template <int kBits, int kLast, int kRows>
GRUCORE_INLINE void panel_sums(const PackedWeights& weights, const Strip& strip, const Segment (&x)[kRows],
                               F32 (&sums)[kRows][3]) {
  if constexpr (kBits == 8 || kRows == 1) {
    gate_sums<kBits, kLast>(weights, strip, x, sums);
  } else {
    gate_sums_apart<kBits, kLast>(weights, strip, x, sums);
  }
}

// A panel of a step: both products and what the cells begin with stay in registers.
template <int kBits, int kLast, int kRows>
GRUCORE_INLINE void collect_panel(const PanelStepArgs& step, uint32_t panel, uint32_t first,
                                  CellVectors<kVectorsInStep>& cells, int at) {
  const uint32_t width = panel_width(step.cell.units, panel);
  const int lanes = static_cast<int>(width);
  const Strip recurrent = strip_of<WeightKind::kInt8>(step.recurrent, panel, width * 3, 0, width);
  const size_t pitch = pitch_of<kLast>(recurrent);
  uint32_t rows[kRows];
  Segment x[kRows];
  F32 input[kRows][3], sums[kRows][3];
  GRUCORE_UNROLL(8)
  for (int r = 0; r < kRows; ++r) rows[r] = row_in_group(step.cell.rows, first, r);
  if (step.input.weights) {
    const Strip strip = strip_of<WeightKind::kInt8>(step.input, panel, width * 3, 0, width);
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) x[r] = segment_of(step.input, rows[r]);
    panel_sums<kBits, kLast>(*step.input.weights, strip, x, input);
    GRUCORE_UNROLL(3)
    for (int g = 0; g < 3; ++g) {
      const F32 bias = load_strip<kLast>(strip.bias + g * pitch, lanes);
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) input[r][g] = add(bias, input[r][g]);
    }
  } else {
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      const float* from = step.input.y.data + rows[r] * step.input.y.stride + size_t{panel} * 3;
      GRUCORE_UNROLL(3)
      for (int g = 0; g < 3; ++g) input[r][g] = load_strip<kLast>(from + g * pitch, lanes);
    }
  }
  GRUCORE_UNROLL(8)
  for (int r = 0; r < kRows; ++r) x[r] = segment_of(step.recurrent, rows[r]);
  panel_sums<kBits, kLast>(*step.recurrent.weights, recurrent, x, sums);
  const F32 bias = load_strip<kLast>(step.bias + size_t{panel} * 4 + 3 * pitch, lanes);
  GRUCORE_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    cells.reset[at + r] = add(input[r][0], sums[r][0]);
    cells.update[at + r] = add(input[r][1], sums[r][1]);
    cells.candidate[at + r] = input[r][2];
    cells.recurrent[at + r] = add(bias, sums[r][2]);
    cells.h[at + r] = step.cell.h.data + rows[r] * step.cell.h.stride + panel;
    cells.out[at + r] = step.cell.out.data + rows[r] * step.cell.out.stride + panel;
  }
}

template <int kBits, int kRows>
GRUCORE_NOINLINE void collect(const PanelStepArgs& step, uint32_t panel, uint32_t first,
                              CellVectors<kVectorsInStep>& cells, int at) {
  if (step.cell.units - panel >= kPanel) {
    collect_panel<kBits, kLanes, kRows>(step, panel, first, cells, at);
  } else {
    collect_panel<kBits, kAnyLanes, kRows>(step, panel, first, cells, at);
  }
}

template <int kBits>
GRUCORE_INLINE void step_in_registers(const PanelStepArgs& args) {
  constexpr uint32_t kRows = kBits == 8 ? kIntegerRows : kIntegerRows / 2;
  const uint32_t panels = panels_of(args.cell.units), count = args.cell.rows.count;
  CellVectors<kVectorsInStep> cells;
  uint32_t collected = 0;
  for (uint32_t i = 0; i < panels; ++i) {
    const uint32_t panel = (args.backwards ? panels - 1 - i : i) * kPanel;
    for (uint32_t row = 0; row < count;) {
      const bool is_single = count - row == 1;
      if (is_single) {
        collect<kBits, 1>(args, panel, row, cells, static_cast<int>(collected));
      } else {
        if (collected + kRows > kVectorsInStep) {
          finish_cells(args.cell.activations, cells, static_cast<int>(collected));
          collected = 0;
        }
        collect<kBits, kRows>(args, panel, row, cells, static_cast<int>(collected));
      }
      const uint32_t took = is_single ? 1 : kRows;
      row += took;
      collected += took;
      if (collected == kVectorsInStep) {
        cells_of(args.cell.activations, cells);
        collected = 0;
      }
    }
  }
  finish_cells(args.cell.activations, cells, static_cast<int>(collected));
}

// Whether both products of a step are of int8 weights, with activations of as many bits.
GRUCORE_INLINE bool are_alike(const PanelStepArgs& args) {
  const PackedWeights *input = args.input.weights, *recurrent = args.recurrent.weights;
  return recurrent->kind == WeightKind::kInt8 &&
         (!input || (input->kind == WeightKind::kInt8 && input->activation_bits == recurrent->activation_bits));
}

#endif

void integer_panel_step(const PanelStepArgs& args) {
  if (args.input.weights) quantize(args.input);
  quantize(args.recurrent);
#if GRUCORE_FUSED_INTEGER_STEP
  if (are_alike(args)) {
    if (args.recurrent.weights->activation_bits == 8) return step_in_registers<8>(args);
    return step_in_registers<16>(args);
  }
#endif
  step_integer_panels(args);
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
