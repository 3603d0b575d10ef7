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

// The three gates' sums of kSide vectors of units, for kRows rows, as floats: the product of docs/numerics.md.
template <int kBits, int kSide, int kLast, int kRows>
GRUCORE_INLINE void gate_sums(const PackedWeights& weights, const Strip& strip, const Segment (&x)[kRows],
                              F32 (&sums)[kRows][3 * kSide]) {
  set_zero(sums);
  sum_blocks<kBits, 3 * kSide, kLast, kRows, kSide>(weights, strip, strip.weights, x, sums);
  GRUCORE_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    const F32 scale = broadcast(x[r].scale());
    GRUCORE_UNROLL(12)
    for (int v = 0; v < 3 * kSide; ++v) {
      const F32 of_row = load_strip<kLast>(strip.scale + vector_at<kSide>(strip, v), strip.lanes);
      sums[r][v] = mul(mul(sums[r][v], scale), of_row);
    }
  }
}

// One of the products of a step, copied: for all that a compiler knows, a vector that is written might be its
// arguments.
struct StepProduct {
  PackedWeights weights;
  const unsigned char* quantized;
  size_t quantized_stride;
  size_t panel_bytes;  // of weights

  GRUCORE_INLINE StepProduct(const ProductArgs& args)
      : weights(*args.weights),
        quantized(args.quantized.data),
        quantized_stride(args.quantized.stride),
        panel_bytes(size_t{padded_inputs(WeightKind::kInt8, weights.inputs)} * 3 * kPanel) {}

  // Of the panel from unit `panel` on, which has `width` units, those from `lane` on.
  GRUCORE_INLINE Strip strip(uint32_t panel, uint32_t width, uint32_t lane) const {
    Strip strip;
    strip.weights = static_cast<const unsigned char*>(weights.data) + panel / kPanel * panel_bytes + size_t{lane} * 4;
    strip.scale = static_cast<const float*>(weights.scale) + size_t{panel} * 3 + lane;
    strip.pitch = size_t{width} * 3 * 4;
    strip.apart = width;
    strip.lanes = static_cast<int>(width - lane);
    return strip;
  }
  GRUCORE_INLINE Segment segment(size_t row) const {
    const unsigned char* const header = quantized + row * quantized_stride;
    return {header, header + weights.header};
  }
};

// A step of some rows, panel by panel: what the cells begin with stays in registers.
template <int kBits, int kRows>
struct StepInRegisters {
  // Vectors of units at once in a whole panel: as many as plain products take.
  static constexpr int kAtOnce = kIntegerVectors / 3;
  static constexpr int kTile = kRows * kAtOnce;
  static constexpr int kCells = kTile > kVectorsInStep ? kTile : kVectorsInStep;

  const StepProduct input, recurrent;
  const bool projects;  // the inputs, here
  const ConstMatrix projected, h;
  const Matrix out;
  const Rows rows;
  const float* const bias;
  CellVectors<kCells> cells;
  int collected;

  GRUCORE_INLINE StepInRegisters(const PanelStepArgs& args)
      : input(args.input.weights ? args.input : args.recurrent),
        recurrent(args.recurrent),
        projects(args.input.weights != nullptr),
        projected{args.input.y.data, args.input.y.stride},
        h{args.cell.h.data, args.cell.h.stride},
        out{args.cell.out.data, args.cell.out.stride},
        rows{args.cell.rows.index, args.cell.rows.count},
        bias(args.bias),
        collected(0) {}

  template <int kSide, int kLast>
  GRUCORE_INLINE void collect(uint32_t panel, uint32_t width, uint32_t lane, uint32_t first) {
    const Strip states = recurrent.strip(panel, width, lane);
    const int lanes = states.lanes;
    const float* const start = bias + size_t{panel} * 4 + lane;
    size_t row[kRows];
    Segment x[kRows];
    F32 chains[kRows][3 * kSide], sums[kRows][3 * kSide];
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) row[r] = row_in_group(rows, first, r);
    if (projects) {
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) x[r] = input.segment(row[r]);
      gate_sums<kBits, kSide, kLast>(input.weights, input.strip(panel, width, lane), x, chains);
      GRUCORE_UNROLL(12)
      for (int v = 0; v < 3 * kSide; ++v) {
        const F32 from = load_strip<kLast>(start + vector_at<kSide>(states, v), lanes);
        GRUCORE_UNROLL(8)
        for (int r = 0; r < kRows; ++r) chains[r][v] = add(from, chains[r][v]);
      }
    } else {
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) {
        const float* from = projected.data + row[r] * projected.stride + size_t{panel} * 3 + lane;
        GRUCORE_UNROLL(12)
        for (int v = 0; v < 3 * kSide; ++v) chains[r][v] = load_strip<kLast>(from + vector_at<kSide>(states, v), lanes);
      }
    }
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) x[r] = recurrent.segment(row[r]);
    gate_sums<kBits, kSide, kLast>(recurrent.weights, states, x, sums);
    GRUCORE_UNROLL(4)
    for (int v = 0; v < kSide; ++v) {
      const F32 from = load_strip<kLast>(start + vector_at<kSide>(states, 3 * kSide + v), lanes);
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) {
        const size_t unit = size_t{panel} + lane + static_cast<size_t>(v) * kLanes;
        cells.reset[collected] = add(chains[r][v], sums[r][v]);
        cells.update[collected] = add(chains[r][kSide + v], sums[r][kSide + v]);
        cells.candidate[collected] = chains[r][2 * kSide + v];
        cells.recurrent[collected] = add(from, sums[r][2 * kSide + v]);
        cells.h[collected] = h.data + row[r] * h.stride + unit;
        cells.out[collected] = out.data + row[r] * out.stride + unit;
        ++collected;
      }
    }
  }

  // Cells that are due: there may not be room for those of another group of rows.
  GRUCORE_INLINE void work_off(const CellActivations& activations) {
    if (collected + kTile <= kCells) return;
    if (collected == kCells) {
      cells_of(activations, cells);
    } else {
      finish_cells(activations, cells, collected);
    }
    collected = 0;
  }

  GRUCORE_INLINE void whole_panel(uint32_t panel, const CellActivations& activations) {
    for (uint32_t first = 0; first < rows.count; first += kRows) {
      GRUCORE_UNROLL(1)
      for (uint32_t lane = 0; lane < kPanel; lane += kAtOnce * kLanes) {
        collect<kAtOnce, kLanes>(panel, kPanel, lane, first);
        work_off(activations);
      }
    }
  }
  GRUCORE_INLINE void narrow_panel(uint32_t panel, uint32_t width, const CellActivations& activations) {
    for (uint32_t first = 0; first < rows.count; first += kRows) {
      GRUCORE_UNROLL(1)
      for (uint32_t lane = 0; lane < width; lane += kLanes) {
        if (kHasMasks || width - lane < static_cast<uint32_t>(kLanes)) {
          collect<1, kHasMasks ? kAnyLanes : 4>(panel, width, lane, first);
        } else {
          collect<1, kLanes>(panel, width, lane, first);
        }
        work_off(activations);
      }
    }
  }
};

// The panels from number `begin` to `end`.
template <int kBits, int kRows>
GRUCORE_NOINLINE void step_in_registers(const PanelStepArgs& args, uint32_t begin, uint32_t end) {
  constexpr bool kTakesNarrow = kHasMasks || kRows == 1;
  const CellActivations& activations = args.cell.activations;
  StepInRegisters<kBits, kRows> step(args);
  for (uint32_t i = 0; i < end - begin; ++i) {
    const uint32_t panel = (args.backwards ? end - 1 - i : begin + i) * kPanel;
    const uint32_t width = kTakesNarrow ? panel_width(args.cell.units, panel) : kPanel;
    if (width == kPanel) {
      step.whole_panel(panel, activations);
    } else {
      step.narrow_panel(panel, width, activations);
    }
  }
  finish_cells(activations, step.cells, step.collected);
}

// Several rows at once; one after the other in a narrow panel, where there are no masks: code is not small.
template <int kBits, int kRows>
GRUCORE_INLINE void step_of_rows(const PanelStepArgs& args) {
  const uint32_t panels = panels_of(args.cell.units);
  if (args.cell.rows.count == 1) return step_in_registers<kBits, 1>(args, 0, panels);
  const uint32_t together = kHasMasks ? panels : args.cell.units / kPanel;
  if (together) step_in_registers<kBits, kRows>(args, 0, together);
  if (together < panels) step_in_registers<kBits, 1>(args, together, panels);
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
    constexpr int kFew = kIntegerRows == 1 ? 1 : kIntegerRows / 2;  // where two bytes take two sums
    if (args.recurrent.weights->activation_bits == 8) return step_of_rows<8, kIntegerRows>(args);
    return step_of_rows<16, kFew>(args);
  }
#endif
  step_integer_panels(args);
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
