// The GRU cell without its products, which may be of any weights. Included once per instruction set, inside its
// target region. The formulas are those of gru-inl.h.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// A vector of units: from `panel + lane` on; its gate g stands at panel * gates + g * width + lane.
struct Vector {
  uint32_t panel, width, lane;
  int lanes;

  GRUCORE_INLINE size_t unit() const { return size_t{panel} + lane; }
  GRUCORE_INLINE size_t gate(uint32_t gates, uint32_t g) const {
    return size_t{panel} * gates + size_t{g} * width + lane;
  }
};

template <bool kWhole = false>
GRUCORE_INLINE F32 load_vector(const float* p, const Vector& vector) {
  return kWhole || vector.lanes == kLanes ? load(p) : load_n(p, vector.lanes);
}
GRUCORE_INLINE void store_vector(float* p, F32 value, const Vector& vector) {
  if (vector.lanes == kLanes) {
    store(p, value);
  } else {
    store_n(p, value, vector.lanes);
  }
}

// Calls op.at(vector) for the units of `panels` panels from `first` on, a vector at a time.
template <class Op>
GRUCORE_INLINE void for_each_vector(uint32_t units, uint32_t first, uint32_t panels, const Op& op) {
  const uint32_t end = units - first < panels * kPanel ? units : first + panels * kPanel;
  for (uint32_t panel = first; panel < end; panel += kPanel) {
    const uint32_t width = panel_width(units, panel);
    for (uint32_t lane = 0; lane < width; lane += kLanes) {
      const uint32_t left = width - lane;
      op.at(Vector{panel, width, lane, left < static_cast<uint32_t>(kLanes) ? static_cast<int>(left) : kLanes});
    }
  }
}

GRUCORE_INLINE const float* row_of(const GateSource& source, size_t row) { return source.data + row * source.stride; }

struct GatherRow {
  const GatherArgs& args;
  size_t row;

  GRUCORE_INLINE void at(const Vector& vector) const {
    float* y = args.y.data + row * args.y.stride;
    for (uint32_t g = 0; g < args.gates; ++g) {
      const GateSource& from = args.from[g];
      store_vector(y + vector.gate(args.gates, g),
                   load_vector(row_of(from, row) + vector.gate(from.gates, from.gate), vector), vector);
    }
  }
};

template <class V>
GRUCORE_INLINE V blend(const V& z, const V& h, const V& n) {
  return flush_denormals(add(mul(z, h), mul(sub(like(z, 1.0f), z), n)));
}

constexpr bool kHasStandard = has_activation(ActivationCode::kSigmoid) && has_activation(ActivationCode::kTanh);

template <class V>
GRUCORE_INLINE V gate_of(const CellActivations& activations, const V& x) {
  return kHasStandard && activations.is_standard ? sigmoid_f32(x) : apply(activations.gate, x);
}
template <class V>
GRUCORE_INLINE V candidate_of(const CellActivations& activations, const V& x) {
  return kHasStandard && activations.is_standard ? tanh_f32(x) : apply(activations.candidate, x);
}

// h' of the reset-after cell, of one vector of units or of pairs.
template <class V>
GRUCORE_INLINE V cell_of(const CellActivations& activations, const V& reset, const V& update, const V& candidate,
                         const V& recurrent, const V& h) {
  const V r = gate_of(activations, reset);
  const V z = gate_of(activations, update);
  return blend(z, h, candidate_of(activations, add(candidate, mul(r, recurrent))));
}

// The chains of some vectors of units, and where their h and h' stand, padding included; calls, so that the activations
// do not stand in every tile.
template <int kCount>
struct CellVectors {
  F32 reset[kCount], update[kCount], candidate[kCount], recurrent[kCount];
  const float* h[kCount];
  float* out[kCount];
};

GRUCORE_NOINLINE F32 cell_of_vector(const CellActivations& activations, F32 reset, F32 update, F32 candidate,
                                    F32 recurrent, F32 h) {
  return cell_of(activations, reset, update, candidate, recurrent, h);
}
template <class V>
GRUCORE_NOINLINE void cell_of_some(const CellActivations& activations, const F32* reset, const F32* update,
                                   const F32* candidate, const F32* recurrent, const float* const* h,
                                   float* const* out) {
  using Of = Vectors<V>;
  Of::store_to(out, cell_of(activations, Of::take(reset), Of::take(update), Of::take(candidate), Of::take(recurrent),
                            Of::load_from(h)));
}

template <class V, int kCount>
GRUCORE_INLINE void cells_from(const CellActivations& activations, const CellVectors<kCount>& of, int i) {
  cell_of_some<V>(activations, of.reset + i, of.update + i, of.candidate + i, of.recurrent + i, of.h + i, of.out + i);
}
template <int kCount>
GRUCORE_INLINE void cell_at(const CellActivations& activations, const CellVectors<kCount>& of, int i) {
  store(of.out[i],
        cell_of_vector(activations, of.reset[i], of.update[i], of.candidate[i], of.recurrent[i], load(of.h[i])));
}

// So many vectors at once as hide each other's latency.
template <class Activations, template <int> class Cells, int kCount>
GRUCORE_INLINE void cells_of(const Activations& activations, const Cells<kCount>& of) {
  using Two = Pair<F32>;
  constexpr int kFours = kVectorsInStep == 4 ? kCount / 4 * 4 : 0, kLeft = kCount - kFours;
  GRUCORE_UNROLL(1)
  for (int i = 0; i < kFours; i += 4) cells_from<Pair<Two>>(activations, of, i);
  if constexpr (kVectorsInStep == 4 && kLeft == 3) {
    cells_from<Pair<Two, F32>>(activations, of, kFours);
  } else if constexpr (kVectorsInStep == 4 && kLeft == 2) {
    cells_from<Two>(activations, of, kFours);
  } else {
    GRUCORE_UNROLL(1)
    for (int i = kFours; i < kCount; ++i) cell_at(activations, of, i);
  }
}

// The cells of the first `count` vectors.
template <class Activations, template <int> class Cells, int kCount>
GRUCORE_INLINE void finish_cells(const Activations& activations, const Cells<kCount>& of, int count) {
  int done = 0;
  if constexpr (kVectorsInStep == 4) {
    GRUCORE_UNROLL(1)
    for (; kCount > 4 && count - done >= 4; done += 4) cells_from<Pair<Pair<F32>>>(activations, of, done);
    if (count - done >= 2) {
      cells_from<Pair<F32>>(activations, of, done);
      done += 2;
    }
  }
  GRUCORE_UNROLL(1)
  for (int i = done; i < count; ++i) cell_at(activations, of, i);
}

// Collects vectors of units until there are enough for a call. The chains after the input stand in step.input.y; those
// after the states in cell.sums, of kParts without what they begin with, which is added here.
template <bool kParts>
struct ResetAfterCells {
  const PanelStepArgs& step;
  const CellArgs& args;
  CellVectors<kVectorsInStep> vectors;
  int count;

  GRUCORE_INLINE explicit ResetAfterCells(const PanelStepArgs& of) : step(of), args(of.cell), count(0) {}

  GRUCORE_INLINE void at(size_t row, const Vector& vector) {
    if (vector.lanes == kLanes) {
      collect<true>(row, vector);
    } else {
      collect<false>(row, vector);
    }
    if (++count == kVectorsInStep) {
      cells_of(args.activations, vectors);
      count = 0;
    }
  }
  GRUCORE_INLINE void finish() { finish_cells(args.activations, vectors, count); }

 private:
  template <bool kWhole>
  GRUCORE_INLINE void collect(size_t row, const Vector& vector) {
    const size_t in_panel = vector.gate(3, 0), in_bias = vector.gate(4, 0);
    const uint32_t width = vector.width;
    const float* sums = args.sums.data + row * args.sums.stride + in_panel;
    const float* input = step.input.y.data + row * step.input.y.stride + in_panel;
    F32 reset = load_vector<kWhole>(sums, vector);
    F32 update = load_vector<kWhole>(sums + width, vector);
    F32 recurrent = load_vector<kWhole>(sums + 2 * width, vector);
    if (kParts) {
      reset = add(load_vector<kWhole>(input, vector), reset);
      update = add(load_vector<kWhole>(input + width, vector), update);
      recurrent = add(load_vector<kWhole>(step.bias + in_bias + 3 * width, vector), recurrent);
    }
    vectors.reset[count] = reset;
    vectors.update[count] = update;
    vectors.recurrent[count] = recurrent;
    vectors.candidate[count] = load_vector<kWhole>(input + 2 * width, vector);
    vectors.h[count] = args.h.data + row * args.h.stride + vector.unit();
    vectors.out[count] = args.out.data + row * args.out.stride + vector.unit();
  }
};

struct ResetRow {
  const CellArgs& args;
  size_t row;

  GRUCORE_INLINE void at(const Vector& vector) const {
    const float* sums = args.sums.data + row * args.sums.stride;
    const F32 r = gate_of(args.activations, load_vector(sums + vector.gate(2, 0), vector));
    const F32 z = gate_of(args.activations, load_vector(sums + vector.gate(2, 1), vector));
    const F32 h = load_vector(args.h.data + row * args.h.stride + vector.unit(), vector);
    store_vector(args.out.data + row * args.out.stride + vector.unit(), flush_denormals(mul(r, h)), vector);
    store_vector(args.update.data + row * args.update.stride + vector.unit(), z, vector);
  }
};

struct CandidateRow {
  const CellArgs& args;
  size_t row;

  GRUCORE_INLINE void at(const Vector& vector) const {
    const float* input_n = row_of(args.input_n, row) + vector.gate(args.input_n.gates, args.input_n.gate);
    const F32 n = candidate_of(args.activations, load_vector(input_n, vector));
    const F32 z = load_vector(args.update.data + row * args.update.stride + vector.unit(), vector);
    const F32 h = load_vector(args.h.data + row * args.h.stride + vector.unit(), vector);
    store_vector(args.out.data + row * args.out.stride + vector.unit(), blend(z, h, n), vector);
  }
};

template <class Row, class Args>
GRUCORE_INLINE void for_each_row(const Args& args, uint32_t first, uint32_t panels) {
  for (uint32_t i = 0; i < args.rows.count; ++i) {
    for_each_vector(args.units, first, panels, Row{args, row_at(args.rows, i)});
  }
}
template <bool kParts>
struct ResetAfterRow {
  ResetAfterCells<kParts>& cells;
  size_t row;

  GRUCORE_INLINE void at(const Vector& vector) const { cells.at(row, vector); }
};
template <bool kParts>
GRUCORE_INLINE void reset_after(const PanelStepArgs& args, uint32_t first, uint32_t panels) {
  ResetAfterCells<kParts> cells(args);
  for (uint32_t i = 0; i < args.cell.rows.count; ++i) {
    for_each_vector(args.cell.units, first, panels, ResetAfterRow<kParts>{cells, row_at(args.cell.rows, i)});
  }
  cells.finish();
}
GRUCORE_INLINE uint32_t panels_of(uint32_t units) { return (units + kPanel - 1) / kPanel; }

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
