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

// One of the products of a step, copied: for all that a compiler knows, a vector that is written might be its arguments.
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

  // The panel from unit `panel` on, which `width` units have.
  GRUCORE_INLINE Strip strip(uint32_t panel, uint32_t width) const {
    Strip strip;
    strip.weights = static_cast<const unsigned char*>(weights.data) + panel / kPanel * panel_bytes;
    strip.scale = static_cast<const float*>(weights.scale) + size_t{panel} * 3;
    strip.pitch = size_t{width} * 3 * 4;
    strip.lanes = static_cast<int>(width);
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
  const StepProduct input, recurrent;
  const bool projects;  // the inputs, here
  const ConstMatrix projected, h;
  const Matrix out;
  const Rows rows;
  const float* const bias;
  CellVectors<kVectorsInStep> cells;
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

  template <int kLast>
  GRUCORE_INLINE void collect(uint32_t panel, uint32_t width, uint32_t first) {
    const int lanes = static_cast<int>(width), at = collected;
    const size_t pitch = kLast == kAnyLanes ? size_t{width} : size_t{kPanel};
    const float* const start = bias + size_t{panel} * 4;
    size_t row[kRows];
    Segment x[kRows];
    F32 chains[kRows][3], sums[kRows][3];
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) row[r] = row_in_group(rows, first, r);
    if (projects) {
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) x[r] = input.segment(row[r]);
      panel_sums<kBits, kLast>(input.weights, input.strip(panel, width), x, chains);
      GRUCORE_UNROLL(3)
      for (int g = 0; g < 3; ++g) {
        const F32 from = load_strip<kLast>(start + g * pitch, lanes);
        GRUCORE_UNROLL(8)
        for (int r = 0; r < kRows; ++r) chains[r][g] = add(from, chains[r][g]);
      }
    } else {
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) {
        const float* from = projected.data + row[r] * projected.stride + size_t{panel} * 3;
        GRUCORE_UNROLL(3)
        for (int g = 0; g < 3; ++g) chains[r][g] = load_strip<kLast>(from + g * pitch, lanes);
      }
    }
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) x[r] = recurrent.segment(row[r]);
    panel_sums<kBits, kLast>(recurrent.weights, recurrent.strip(panel, width), x, sums);
    const F32 from = load_strip<kLast>(start + 3 * pitch, lanes);
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      cells.reset[at + r] = add(chains[r][0], sums[r][0]);
      cells.update[at + r] = add(chains[r][1], sums[r][1]);
      cells.candidate[at + r] = chains[r][2];
      cells.recurrent[at + r] = add(from, sums[r][2]);
      cells.h[at + r] = h.data + row[r] * h.stride + panel;
      cells.out[at + r] = out.data + row[r] * out.stride + panel;
    }
    collected += kRows;
  }

  GRUCORE_INLINE void run(uint32_t units, bool backwards, const CellActivations& activations) {
    const uint32_t panels = panels_of(units);
    for (uint32_t i = 0; i < panels; ++i) {
      const uint32_t panel = (backwards ? panels - 1 - i : i) * kPanel;
      const uint32_t width = panel_width(units, panel);
      for (uint32_t first = 0; first < rows.count; first += kRows) {
        if (width == kPanel) {
          collect<kLanes>(panel, width, first);
        } else {
          collect<kAnyLanes>(panel, width, first);
        }
        if (collected < kVectorsInStep) continue;
        cells_of(activations, cells);
        collected = 0;
      }
    }
    finish_cells(activations, cells, collected);
  }
};

template <int kBits, int kRows>
GRUCORE_NOINLINE void step_in_registers(const PanelStepArgs& args) {
  StepInRegisters<kBits, kRows>(args).run(args.cell.units, args.backwards, args.cell.activations);
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
    const bool is_narrow = args.recurrent.weights->activation_bits == 8, is_single = args.cell.rows.count == 1;
    const auto step = is_narrow ? is_single ? step_in_registers<8, 1> : step_in_registers<8, kIntegerRows>
                      : is_single ? step_in_registers<16, 1>
                                  : step_in_registers<16, kIntegerRows / 2>;
    return step(args);
  }
#endif
  step_integer_panels(args);
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
