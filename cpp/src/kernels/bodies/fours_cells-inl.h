// Cells of the GRU by vectors of four floats (vec/helium.h, vec/arm32.h). Included once per instruction set, inside its
// target region, after cell-inl.h's cell_of.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

// Where the chains of some neighbouring units stand, and what theirs begin with where that is not in them.
struct CellChains {
  const float *reset, *update, *recurrent;
  const float *reset_start, *update_start, *recurrent_start;
  const float *candidate, *h;
  float* out;
};

template <bool kParts, class V, V (*kLoad)(const float*)>
GRUCORE_INLINE V chain_of(const float* sum, const float* start) {
  return kParts ? add(kLoad(start), kLoad(sum)) : kLoad(sum);
}

template <bool kParts>
GRUCORE_OUTLINE void four_cells(const CellActivations& activations, const CellChains& at) {
  if (kHasStandard && activations.is_standard) {
    constexpr auto chain = chain_of<kParts, F32x4, load_four_floats>;
    forget_denormals();
    const F32x4 r = sigmoid_f32(chain(at.reset, at.reset_start)), z = sigmoid_f32(chain(at.update, at.update_start));
    const F32x4 gated = mul(r, chain(at.recurrent, at.recurrent_start));
    const F32x4 n = tanh_f32(add(load_four_floats(at.candidate), gated));
    const F32x4 result = blend(z, load_four_floats(at.h), n);
    if (!met_denormals(result)) return store_four_floats(at.out, result);
  }
  constexpr auto chain = chain_of<kParts, F32, load>;
  for (int i = 0; i < 4; ++i) {
    store(at.out + i, cell_of_vector(activations, chain(at.reset + i, at.reset_start + i),
                                     chain(at.update + i, at.update_start + i), load(at.candidate + i),
                                     chain(at.recurrent + i, at.recurrent_start + i), load(at.h + i)));
  }
}

// The units of some panels; kParts as of ResetAfterCells.
template <bool kParts>
GRUCORE_INLINE void cells_in_fours(const PanelStepArgs& step, uint32_t first, uint32_t panels) {
  const CellArgs& args = step.cell;
  const uint32_t end = args.units - first < panels * kPanel ? args.units : first + panels * kPanel;
  for (uint32_t i = 0; i < args.rows.count; ++i) {
    const size_t row = row_at(args.rows, i);
    for (uint32_t panel = first; panel < end; panel += kPanel) {
      const uint32_t width = panel_width(args.units, panel);
      const float* sums = args.sums.data + row * args.sums.stride + size_t{panel} * 3;
      const float* input = step.input.y.data + row * step.input.y.stride + size_t{panel} * 3;
      const float* bias = step.bias + size_t{panel} * 4 + size_t{3} * width;
      const float* h = args.h.data + row * args.h.stride + panel;
      float* out = args.out.data + row * args.out.stride + panel;
      for (uint32_t lane = 0; lane < width; lane += 4, sums += 4, input += 4) {
        four_cells<kParts>(args.activations, {sums, sums + width, sums + 2 * width, input, input + width, bias + lane,
                                              input + 2 * width, h + lane, out + lane});
      }
    }
  }
}

// GatherRow, four units at a time: rows of panels have room for whole fours.
GRUCORE_INLINE void gather_in_fours(const GatherArgs& args, uint32_t first, uint32_t panels) {
  const uint32_t end = args.units - first < panels * kPanel ? args.units : first + panels * kPanel;
  for (uint32_t i = 0; i < args.rows.count; ++i) {
    const size_t row = row_at(args.rows, i);
    for (uint32_t panel = first; panel < end; panel += kPanel) {
      const uint32_t width = panel_width(args.units, panel);
      float* y = args.y.data + row * args.y.stride + size_t{panel} * args.gates;
      for (uint32_t g = 0; g < args.gates; ++g, y += width) {
        const GateSource& from = args.from[g];
        const float* x = row_of(from, row) + size_t{panel} * from.gates + size_t{from.gate} * width;
        for (uint32_t lane = 0; lane < width; lane += 4) store_four_floats(y + lane, load_four_floats(x + lane));
      }
    }
  }
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
