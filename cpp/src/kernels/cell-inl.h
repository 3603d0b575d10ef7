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

// Calls op.at(place) for all units, a vector at a time.
template <class Op>
GRUCORE_INLINE void for_each_place(uint32_t units, const Op& op) {
  for (uint32_t panel = 0; panel < units; panel += kPanel) {
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
GRUCORE_INLINE void for_each_row(const Args& args) {
  for (uint32_t i = 0; i < args.rows.count; ++i) for_each_place(args.units, Row{args, row_at(args.rows, i)});
}

void gather(const GatherArgs& args) { for_each_row<GatherRow>(args); }
void cell_reset_after(const CellArgs& args) { for_each_row<ResetAfterRow>(args); }
void cell_reset(const CellArgs& args) { for_each_row<ResetRow>(args); }
void cell_candidate(const CellArgs& args) { for_each_row<CandidateRow>(args); }

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
