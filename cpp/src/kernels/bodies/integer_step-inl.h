// One step of the reset-after cell with int8 and int4 weights. Included once per instruction set, inside its target
// region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// Both products of some panels, then their cells, which add what the products begin with: so an addition less is done
// in memory, and in the same order.
GRUCORE_INLINE void step_integer_panels_at_once(const PanelStepArgs& args, uint32_t first, uint32_t panels) {
  if (args.backwards) AnyIntegerPanels::run(args.recurrent, first, panels, true);
  if (args.input.weights) AnyIntegerPanels::run(args.input, first, panels, args.backwards);
  if (!args.backwards) AnyIntegerPanels::run(args.recurrent, first, panels, false);
#if GRUCORE_FOURS
  cells_in_fours<true>(args, first, panels);
#else
  reset_after<true>(args, first, panels);
#endif
}
GRUCORE_INLINE void step_integer_panels(const PanelStepArgs& args) {
  const uint32_t units = args.cell.units;
  using Panels = PanelsAtOnce<AnyIntegerPanels::kPanels>;
  StepArgs step(args);
  for (uint32_t i = 0; i < Panels::count(units); ++i) {
    const Panels some = Panels::at(units, i, args.backwards);
    step_integer_panels_at_once(step.at(args, some.first), some.first, some.panels);
  }
}

#if GRUCORE_FUSED_INTEGER_STEP

// The three gates' sums of kSide vectors of units, for kRows rows, as floats: the product of docs/numerics.md.
template <int kBits, int kSide, int kLast, int kRows>
GRUCORE_INLINE void gate_sums(const PackedWeights& weights, const TileWeights& tile, const QuantizedTap (&x)[kRows],
                              F32 (&sums)[kRows][3 * kSide]) {
  set_zero(sums);
  sum_blocks<kBits, 3 * kSide, kLast, kRows, kSide>(weights, tile, tile.weights, x, sums);
  GRUCORE_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    const F32 scale = broadcast(x[r].scale());
    GRUCORE_UNROLL(12)
    for (int v = 0; v < 3 * kSide; ++v) {
      const F32 of_row = load_vector<kLast>(tile.scale + vector_at<kSide>(tile, v), tile.lanes);
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

  // The units from `lane` on of the panel that begins at unit `panel` and has `width` units.
  GRUCORE_INLINE TileWeights tile(uint32_t panel, uint32_t width, uint32_t lane) const {
    TileWeights tile;
    tile.weights = static_cast<const unsigned char*>(weights.data) + panel / kPanel * panel_bytes + size_t{lane} * 4;
    tile.scale = static_cast<const float*>(weights.scale) + size_t{panel} * 3 + lane;
    tile.pitch = size_t{width} * 3 * 4;
    tile.apart = width;
    tile.lanes = static_cast<int>(width - lane);
    return tile;
  }
  GRUCORE_INLINE QuantizedTap quantized_tap(size_t row) const {
    const unsigned char* const header = quantized + row * quantized_stride;
    return {header, header + weights.header};
  }
};

// The arguments that all panels of a step share.
struct StepMatrices {
  const StepProduct input, recurrent;
  const bool projects;  // the inputs, here
  const ConstMatrix projected, h;
  const Matrix out;
  const Rows rows;
  const float* const bias;

  GRUCORE_INLINE StepMatrices(const PanelStepArgs& args)
      : input(args.input.weights ? args.input : args.recurrent),
        recurrent(args.recurrent),
        projects(args.input.weights != nullptr),
        projected{args.input.y.data, args.input.y.stride},
        h{args.cell.h.data, args.cell.h.stride},
        out{args.cell.out.data, args.cell.out.stride},
        rows{args.cell.rows.index, args.cell.rows.count},
        bias(args.bias) {}
};

// Where the values of kRows rows from `first` on stand.
template <int kRows>
struct StepRows {
  const StepMatrices& of;
  size_t row[kRows];

  GRUCORE_INLINE StepRows(const StepMatrices& matrices, uint32_t first) : of(matrices) {
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) row[r] = row_in_tile(of.rows, first, r);
  }
  GRUCORE_INLINE QuantizedTap x(int r) const { return of.input.quantized_tap(row[r]); }
  GRUCORE_INLINE QuantizedTap quantized_h(int r) const { return of.recurrent.quantized_tap(row[r]); }
  GRUCORE_INLINE const float* projected(int r) const { return of.projected.data + row[r] * of.projected.stride; }
  GRUCORE_INLINE const float* h(int r) const { return of.h.data + row[r] * of.h.stride; }
  GRUCORE_INLINE float* out(int r) const { return of.out.data + row[r] * of.out.stride; }
};
// The arguments of a single row, worked out once for all panels.
template <>
struct StepRows<1> {
  const QuantizedTap x_at, quantized_h_at;
  const float *const projected_at, *const h_at;
  float* const out_at;

  GRUCORE_INLINE StepRows(const StepMatrices& of, uint32_t i) : StepRows(of, size_t{row_at(of.rows, i)}) {}
  GRUCORE_INLINE StepRows(const StepMatrices& of, size_t row)
      : x_at(of.input.quantized_tap(row)),
        quantized_h_at(of.recurrent.quantized_tap(row)),
        projected_at(of.projected.data + row * of.projected.stride),
        h_at(of.h.data + row * of.h.stride),
        out_at(of.out.data + row * of.out.stride) {}
  GRUCORE_INLINE QuantizedTap x(int) const { return x_at; }
  GRUCORE_INLINE QuantizedTap quantized_h(int) const { return quantized_h_at; }
  GRUCORE_INLINE const float* projected(int) const { return projected_at; }
  GRUCORE_INLINE const float* h(int) const { return h_at; }
  GRUCORE_INLINE float* out(int) const { return out_at; }
};

// A step of some rows, panel by panel: what the cells begin with stays in registers.
template <int kBits, int kRows>
struct StepInRegisters {
  // Vectors of units at once in a whole panel: as many as plain products take.
  static constexpr int kAtOnce = kIntegerVectors / 3;
  static constexpr int kTile = kRows * kAtOnce;
  static constexpr int kCells = kTile > kVectorsInStep ? kTile : kVectorsInStep;

  const StepMatrices of;
  CellVectors<kCells> cells;
  int collected;

  GRUCORE_INLINE StepInRegisters(const PanelStepArgs& args) : of(args), collected(0) {}

  template <int kSide, int kLast>
  GRUCORE_INLINE void collect(uint32_t panel, uint32_t width, uint32_t lane, const StepRows<kRows>& rows) {
    const TileWeights states = of.recurrent.tile(panel, width, lane);
    const int lanes = states.lanes;
    const float* const start = of.bias + size_t{panel} * 4 + lane;
    QuantizedTap x[kRows];
    F32 chains[kRows][3 * kSide], sums[kRows][3 * kSide];
    if (of.projects) {
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) x[r] = rows.x(r);
      gate_sums<kBits, kSide, kLast>(of.input.weights, of.input.tile(panel, width, lane), x, chains);
      GRUCORE_UNROLL(12)
      for (int v = 0; v < 3 * kSide; ++v) {
        const F32 from = load_vector<kLast>(start + vector_at<kSide>(states, v), lanes);
        GRUCORE_UNROLL(8)
        for (int r = 0; r < kRows; ++r) chains[r][v] = add(from, chains[r][v]);
      }
    } else {
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) {
        const float* from = rows.projected(r) + size_t{panel} * 3 + lane;
        GRUCORE_UNROLL(12)
        for (int v = 0; v < 3 * kSide; ++v)
          chains[r][v] = load_vector<kLast>(from + vector_at<kSide>(states, v), lanes);
      }
    }
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) x[r] = rows.quantized_h(r);
    gate_sums<kBits, kSide, kLast>(of.recurrent.weights, states, x, sums);
    GRUCORE_UNROLL(4)
    for (int v = 0; v < kSide; ++v) {
      const F32 from = load_vector<kLast>(start + vector_at<kSide>(states, 3 * kSide + v), lanes);
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) {
        const size_t unit = size_t{panel} + lane + static_cast<size_t>(v) * kLanes;
        cells.reset[collected] = add(chains[r][v], sums[r][v]);
        cells.update[collected] = add(chains[r][kSide + v], sums[r][kSide + v]);
        cells.candidate[collected] = chains[r][2 * kSide + v];
        cells.recurrent[collected] = add(from, sums[r][2 * kSide + v]);
        cells.h[collected] = rows.h(r) + unit;
        cells.out[collected] = rows.out(r) + unit;
        ++collected;
      }
    }
  }

  // Cells that are due: there may not be room for those of another tile.
  GRUCORE_INLINE void work_off(const CellActivations& activations) {
    if (collected + kTile <= kCells) return;
    if (collected == kCells) {
      cells_of(activations, cells);
    } else {
      finish_cells(activations, cells, collected);
    }
    collected = 0;
  }

  GRUCORE_INLINE void whole_panel(uint32_t panel, const StepRows<kRows>& rows, const CellActivations& activations) {
    GRUCORE_UNROLL(1)
    for (uint32_t lane = 0; lane < kPanel; lane += kAtOnce * kLanes) {
      collect<kAtOnce, kLanes>(panel, kPanel, lane, rows);
      work_off(activations);
    }
  }
  GRUCORE_INLINE void narrow_panel(uint32_t panel, uint32_t width, const StepRows<kRows>& rows,
                                   const CellActivations& activations) {
    GRUCORE_UNROLL(1)
    for (uint32_t lane = 0; lane < width; lane += kLanes) {
      if (kHasMasks || width - lane < static_cast<uint32_t>(kLanes)) {
        collect<1, kHasMasks ? kAnyLanes : 4>(panel, width, lane, rows);
      } else {
        collect<1, kLanes>(panel, width, lane, rows);
      }
      work_off(activations);
    }
  }
};

// The panels from number `begin` to `end`: single rows one after the other, else all rows under each panel in turn.
template <int kBits, int kRows>
GRUCORE_NOINLINE void step_in_registers(const PanelStepArgs& args, uint32_t begin, uint32_t end) {
  const CellActivations& activations = args.cell.activations;
  const uint32_t units = args.cell.units, count = args.cell.rows.count, panels = end - begin;
  const bool backwards = args.backwards;
  StepInRegisters<kBits, kRows> step(args);
  if constexpr (kRows == 1) {
    for (uint32_t row = 0; row < count; ++row) {
      const StepRows<1> alone(step.of, row);
      for (uint32_t i = 0; i < panels; ++i) {
        const uint32_t panel = (backwards ? end - 1 - i : begin + i) * kPanel, width = panel_width(units, panel);
        if (width == kPanel) {
          step.whole_panel(panel, alone, activations);
        } else {
          step.narrow_panel(panel, width, alone, activations);
        }
      }
    }
  } else {
    for (uint32_t i = 0; i < panels; ++i) {
      const uint32_t panel = (backwards ? end - 1 - i : begin + i) * kPanel;
      const uint32_t width = kHasMasks ? panel_width(units, panel) : kPanel;
      if (width == kPanel) {
        for (uint32_t first = 0; first < count; first += kRows) {
          step.whole_panel(panel, StepRows<kRows>(step.of, first), activations);
        }
      } else {
        for (uint32_t first = 0; first < count; first += kRows) {
          step.narrow_panel(panel, width, StepRows<kRows>(step.of, first), activations);
        }
      }
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

// True if the products of a step are of whole int8 matrices, with activations of as many bits.
GRUCORE_INLINE bool are_alike(const PanelStepArgs& args) {
  const PackedWeights *input = args.input.weights, *recurrent = args.recurrent.weights;
  return recurrent->kind == WeightKind::kInt8 && !recurrent->ends &&
         (!input ||
          (input->kind == WeightKind::kInt8 && !input->ends && input->activation_bits == recurrent->activation_bits));
}

#endif

void integer_panel_step(const PanelStepArgs& args) {
  if (args.input.weights) quantize(args.input);
  quantize(args.recurrent);
#if GRUCORE_FUSED_INTEGER_STEP
  if (are_alike(args)) {
    if (args.recurrent.weights->activation_bits == 8) return step_of_rows<8, kRowsAtOnce<8>>(args);
    return step_of_rows<16, kRowsAtOnce<16>>(args);
  }
#endif
  step_integer_panels(args);
}

void integer_gate_step(const GateStepArgs& args) {
  if (args.input.weights) quantize(args.input);
  quantize(args.recurrent);
  step_gates<AnyIntegerPanels>(args);
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
