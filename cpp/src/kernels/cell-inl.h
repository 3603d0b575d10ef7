// The GRU cell without its products, which may be of any weights. Included once per instruction set, inside its
// target region. The formulas are those of gru-inl.h.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// A place in a panel: unit `panel + lane`, whose gate g stands at panel * gates + g * width + lane.
struct Place {
  uint32_t panel, width, lane;
  int lanes;

  GRUCORE_INLINE size_t unit() const { return size_t{panel} + lane; }
  GRUCORE_INLINE size_t gate(uint32_t gates, uint32_t g) const {
    return size_t{panel} * gates + size_t{g} * width + lane;
  }
};

GRUCORE_INLINE F32 load_place(const float* p, const Place& place) {
  return place.lanes == kLanes ? load(p) : load_n(p, place.lanes);
}
GRUCORE_INLINE void store_place(float* p, F32 value, const Place& place) {
  if (place.lanes == kLanes) {
    store(p, value);
  } else {
    store_n(p, value, place.lanes);
  }
}

// Calls op.at(place) for the units of `panels` panels from `first` on, a vector at a time.
template <class Op>
GRUCORE_INLINE void for_each_place(uint32_t units, uint32_t first, uint32_t panels, const Op& op) {
  const uint32_t end = units - first < panels * kPanel ? units : first + panels * kPanel;
  for (uint32_t panel = first; panel < end; panel += kPanel) {
    const uint32_t width = panel_width(units, panel);
    for (uint32_t lane = 0; lane < width; lane += kLanes) {
      const uint32_t left = width - lane;
      op.at(Place{panel, width, lane, left < static_cast<uint32_t>(kLanes) ? static_cast<int>(left) : kLanes});
    }
  }
}

GRUCORE_INLINE const float* row_of(const GateSource& source, size_t row) { return source.data + row * source.stride; }

struct GatherRow {
  const GatherArgs& args;
  size_t row;

  GRUCORE_INLINE void at(const Place& place) const {
    float* y = args.y.data + row * args.y.stride;
    for (uint32_t g = 0; g < args.gates; ++g) {
      const GateSource& from = args.from[g];
      store_place(y + place.gate(args.gates, g),
                  load_place(row_of(from, row) + place.gate(from.gates, from.gate), place), place);
    }
  }
};

GRUCORE_INLINE F32 blend(F32 z, F32 h, F32 n) {
  return flush_denormals(add(mul(z, h), mul(sub(broadcast(1.0f), z), n)));
}

GRUCORE_INLINE F32 gate_of(const CellArgs& args, F32 x) {
  return args.is_standard ? sigmoid_f32(x) : apply(args.gate, x);
}
GRUCORE_INLINE F32 candidate_of(const CellArgs& args, F32 x) {
  return args.is_standard ? tanh_f32(x) : apply(args.candidate, x);
}

struct ResetAfterRow {
  const CellArgs& args;
  size_t row;

  GRUCORE_INLINE void at(const Place& place) const {
    const float* sums = args.sums.data + row * args.sums.stride;
    const float* input_n = row_of(args.input_n, row) + place.gate(args.input_n.gates, args.input_n.gate);
    const F32 r = gate_of(args, load_place(sums + place.gate(3, 0), place));
    const F32 z = gate_of(args, load_place(sums + place.gate(3, 1), place));
    const F32 recurrent = load_place(sums + place.gate(3, 2), place);
    const F32 n = candidate_of(args, add(load_place(input_n, place), mul(r, recurrent)));
    const F32 h = load_place(args.h.data + row * args.h.stride + place.unit(), place);
    store_place(args.out.data + row * args.out.stride + place.unit(), blend(z, h, n), place);
  }
};

struct ResetRow {
  const CellArgs& args;
  size_t row;

  GRUCORE_INLINE void at(const Place& place) const {
    const float* sums = args.sums.data + row * args.sums.stride;
    const F32 r = gate_of(args, load_place(sums + place.gate(2, 0), place));
    const F32 z = gate_of(args, load_place(sums + place.gate(2, 1), place));
    const F32 h = load_place(args.h.data + row * args.h.stride + place.unit(), place);
    store_place(args.out.data + row * args.out.stride + place.unit(), flush_denormals(mul(r, h)), place);
    store_place(args.update.data + row * args.update.stride + place.unit(), z, place);
  }
};

struct CandidateRow {
  const CellArgs& args;
  size_t row;

  GRUCORE_INLINE void at(const Place& place) const {
    const float* input_n = row_of(args.input_n, row) + place.gate(args.input_n.gates, args.input_n.gate);
    const F32 n = candidate_of(args, load_place(input_n, place));
    const F32 z = load_place(args.update.data + row * args.update.stride + place.unit(), place);
    const F32 h = load_place(args.h.data + row * args.h.stride + place.unit(), place);
    store_place(args.out.data + row * args.out.stride + place.unit(), blend(z, h, n), place);
  }
};

template <class Row, class Args>
GRUCORE_INLINE void for_each_row(const Args& args, uint32_t first, uint32_t panels) {
  for (uint32_t i = 0; i < args.rows.count; ++i) {
    for_each_place(args.units, first, panels, Row{args, row_at(args.rows, i)});
  }
}
GRUCORE_INLINE uint32_t panels_of(uint32_t units) { return (units + kPanel - 1) / kPanel; }

// Panels that are worked on at once: group i of those of `units`, in either order.
template <uint32_t kMost>
struct PanelGroup {
  uint32_t first;  // unit
  uint32_t panels;

  static GRUCORE_INLINE uint32_t count(uint32_t units) { return (panels_of(units) + kMost - 1) / kMost; }
  static GRUCORE_INLINE PanelGroup at(uint32_t units, uint32_t i, bool backwards) {
    const uint32_t before = (backwards ? count(units) - 1 - i : i) * kMost;
    const uint32_t left = panels_of(units) - before;
    return {before * kPanel, left < kMost ? left : kMost};
  }
};

// Products::run(args, first, panels) multiplies some panels, at most Products::kPanels of them.
template <class Products>
GRUCORE_INLINE void step_panels(const PanelStepArgs& args) {
  const uint32_t units = args.cell.units;
  const bool has_input = args.input.weights.data != nullptr;
  const Matrix& projected = args.input.y;
  const GatherArgs input = {
      {{args.bias, 0, 4, 0}, {args.bias, 0, 4, 1}, {args.bias, 0, 4, 2}}, 3, units, projected, args.cell.rows};
  const GateSource r = {projected.data, projected.stride, 3, 0}, z = {projected.data, projected.stride, 3, 1};
  const GatherArgs recurrent = {{r, z, {args.bias, 0, 4, 3}}, 3, units, args.recurrent.y, args.cell.rows};
  using Group = PanelGroup<Products::kPanels>;
  for (uint32_t i = 0; i < Group::count(units); ++i) {
    const Group group = Group::at(units, i, args.backwards);
    if (has_input) {
      for_each_row<GatherRow>(input, group.first, group.panels);
      Products::run(args.input, group.first, group.panels);
    }
    for_each_row<GatherRow>(recurrent, group.first, group.panels);
    Products::run(args.recurrent, group.first, group.panels);
    for_each_row<ResetAfterRow>(args.cell, group.first, group.panels);
  }
}

// All panels of one product.
template <class Products>
GRUCORE_INLINE void multiply_panels(const ProductArgs& args) {
  using Group = PanelGroup<Products::kPanels>;
  for (uint32_t i = 0; i < Group::count(args.weights.rows); ++i) {
    const Group group = Group::at(args.weights.rows, i, args.backwards);
    Products::run(args, group.first, group.panels);
  }
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
