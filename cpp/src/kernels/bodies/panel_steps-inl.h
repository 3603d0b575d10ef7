// Products and cells of a step in turn, some panels at a time. Included once per instruction set, inside its target
// region, after cell-inl.h.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// Panels that are worked on at once: the i-th so many of those of `units`, in either order.
template <uint32_t kMost>
struct PanelsAtOnce {
  uint32_t first;  // unit
  uint32_t panels;

  static GRUCORE_INLINE uint32_t count(uint32_t units) { return (panels_of(units) + kMost - 1) / kMost; }
  static GRUCORE_INLINE PanelsAtOnce at(uint32_t units, uint32_t i, bool backwards) {
    const uint32_t before = (backwards ? count(units) - 1 - i : i) * kMost;
    const uint32_t left = panels_of(units) - before;
    return {before * kPanel, left < kMost ? left : kMost};
  }
};

// The arguments for some panels: where memory has room for one panel, each stands where the first one would.
struct PanelArgs {
  PanelStepArgs step;

  GRUCORE_INLINE explicit PanelArgs(const PanelStepArgs& args) : step(args) {}
  GRUCORE_INLINE const PanelStepArgs& at(const PanelStepArgs& args, uint32_t first) {
    const size_t before = args.one_panel ? size_t{first} * 3 : 0;
    step.input.y.data = args.input.y.data - before;
    step.recurrent.y.data = args.recurrent.y.data - before;
    step.cell.sums.data = args.cell.sums.data - before;
    return step;
  }
};
// Where memory has room for all panels in any case.
struct SameArgs {
  GRUCORE_INLINE explicit SameArgs(const PanelStepArgs&) {}
  GRUCORE_INLINE const PanelStepArgs& at(const PanelStepArgs& args, uint32_t) { return args; }
};
template <bool>
struct ArgsOfPanels {
  using Type = SameArgs;
};
template <>
struct ArgsOfPanels<true> {
  using Type = PanelArgs;
};
using StepArgs = ArgsOfPanels<kStepsOnePanel>::Type;

// Products::run(args, first, panels, backwards) multiplies some panels, at most Products::kPanels of them.
template <class Products>
GRUCORE_INLINE void step_panels_at_once(const PanelStepArgs& args, uint32_t first, uint32_t panels) {
  GatherArgs recurrent;
  for (uint32_t g = 0; g < 3; ++g) {
    recurrent.from[g].data = g < 2 ? args.input.y.data : args.bias;
    recurrent.from[g].stride = g < 2 ? args.input.y.stride : 0;
    recurrent.from[g].gates = g < 2 ? 3 : 4;
    recurrent.from[g].gate = g < 2 ? g : 3;
  }
  recurrent.gates = 3;
  recurrent.units = args.cell.units;
  recurrent.y.data = args.recurrent.y.data;
  recurrent.y.stride = args.recurrent.y.stride;
  recurrent.rows.index = args.cell.rows.index;
  recurrent.rows.count = args.cell.rows.count;
  if (args.input.weights) Products::run(args.input, first, panels, args.backwards);
#if GRUCORE_FOURS
  gather_in_fours(recurrent, first, panels);
  Products::run(args.recurrent, first, panels, args.backwards);
  cells_in_fours<false>(args, first, panels);
#else
  for_each_row<GatherRow>(recurrent, first, panels);
  Products::run(args.recurrent, first, panels, args.backwards);
  reset_after<false>(args, first, panels);
#endif
}

template <class Products>
GRUCORE_INLINE void step_panels(const PanelStepArgs& args) {
  const uint32_t units = args.cell.units;
  using Panels = PanelsAtOnce<Products::kPanels>;
  StepArgs step(args);
  for (uint32_t i = 0; i < Panels::count(units); ++i) {
    const Panels some = Panels::at(units, i, args.backwards);
    step_panels_at_once<Products>(step.at(args, some.first), some.first, some.panels);
  }
}

// The same of layers whose gates are one chain each.
template <class Products>
GRUCORE_INLINE void step_gates(const GateStepArgs& args) {
  const uint32_t units = args.recurrent.weights->rows;
  using Panels = PanelsAtOnce<Products::kPanels>;
  for (uint32_t i = 0; i < Panels::count(units); ++i) {
    const Panels some = Panels::at(units, i, args.backwards);
    if (args.input.weights) Products::run(args.input, some.first, some.panels, args.backwards);
    Products::run(args.recurrent, some.first, some.panels, args.backwards);
    args.cells(args, some.first, some.panels);
  }
}

// All panels of one product.
template <class Products>
GRUCORE_INLINE void multiply_panels(const ProductArgs& args) {
  using Panels = PanelsAtOnce<Products::kPanels>;
  for (uint32_t i = 0; i < Panels::count(args.weights->rows); ++i) {
    const Panels some = Panels::at(args.weights->rows, i, args.backwards);
    Products::run(args, some.first, some.panels, args.backwards);
  }
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
