// Layers whose gates are one chain each: the cells of the LSTM and of the plain recurrent layer, and their steps.
// Included once per instruction set, inside its target region, after cell-inl.h.
//
//   c' = f * c + i * g      h' = o * activation(c')      plain: h' = activation(chain)
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// The chains of some vectors of units, and where their c and h' stand, padding included.
template <int kCount>
struct LstmVectors {
  F32 input[kCount], forget[kCount], candidate[kCount], output[kCount];
  float* cell[kCount];
  float* out[kCount];
};
template <int kCount>
struct PlainVectors {
  F32 sum[kCount];
  float* out[kCount];
};

template <int kGates, int kCount>
struct GateVectorsOf {
  using Type = LstmVectors<kCount>;
};
template <int kCount>
struct GateVectorsOf<1, kCount> {
  using Type = PlainVectors<kCount>;
};
template <int kGates, int kCount>
using GateVectors = typename GateVectorsOf<kGates, kCount>::Type;

// Neighbouring vectors of units.
template <int kCount>
GRUCORE_INLINE void point(LstmVectors<kCount>& vectors, float* out, float* cell) {
  GRUCORE_UNROLL(8)
  for (int i = 0; i < kCount; ++i) {
    vectors.cell[i] = cell + i * kLanes;
    vectors.out[i] = out + i * kLanes;
  }
}
template <int kCount>
GRUCORE_INLINE void point(PlainVectors<kCount>& vectors, float* out, float*) {
  GRUCORE_UNROLL(8)
  for (int i = 0; i < kCount; ++i) vectors.out[i] = out + i * kLanes;
}

template <class V>
GRUCORE_INLINE V gate_of(const GateActivations& activations, const V& chain) {
  return activations.is_standard ? sigmoid_f32(chain) : apply(activations.gate, chain);
}
// Three gates in step hide the latency of each other where there is one vector of units only.
GRUCORE_INLINE void gates_of(const GateActivations& activations, F32* input, F32* forget, F32* output) {
  const auto gates = gate_of(activations, Pair<Pair<F32>, F32>{{*input, *forget}, *output});
  *input = gates.first.first;
  *forget = gates.first.second;
  *output = gates.second;
}
template <class V>
GRUCORE_INLINE void gates_of(const GateActivations& activations, V* input, V* forget, V* output) {
  *input = gate_of(activations, *input);
  *forget = gate_of(activations, *forget);
  *output = gate_of(activations, *output);
}

template <class V>
GRUCORE_INLINE void lstm_of(const GateActivations& activations, V input, V forget, const V& candidate, V output,
                            float* const* cell, float* const* out) {
  using Of = Vectors<V>;
  gates_of(activations, &input, &forget, &output);
  const V g = activations.is_standard ? tanh_f32(candidate) : apply(activations.candidate, candidate);
  const V c = flush_denormals(add(mul(forget, Of::load_from(cell)), mul(input, g)));
  Of::store_to(cell, c);
  const V shown = activations.is_standard ? tanh_f32(c) : apply(activations.cell, c);
  Of::store_to(out, flush_denormals(mul(output, shown)));
}
template <class V>
GRUCORE_NOINLINE void lstm_of_some(const GateActivations& activations, const F32* input, const F32* forget,
                                   const F32* candidate, const F32* output, float* const* cell, float* const* out) {
  using Of = Vectors<V>;
  lstm_of(activations, Of::take(input), Of::take(forget), Of::take(candidate), Of::take(output), cell, out);
}
template <class V, int kCount>
GRUCORE_INLINE void cells_from(const GateActivations& activations, const LstmVectors<kCount>& of, int i) {
  lstm_of_some<V>(activations, of.input + i, of.forget + i, of.candidate + i, of.output + i, of.cell + i, of.out + i);
}
template <int kCount>
GRUCORE_INLINE void cell_at(const GateActivations& activations, const LstmVectors<kCount>& of, int i) {
  cells_from<F32>(activations, of, i);
}

template <class V>
GRUCORE_NOINLINE void plain_of_some(const GateActivations& activations, const F32* sum, float* const* out) {
  using Of = Vectors<V>;
  const V chain = Of::take(sum);
  Of::store_to(out, flush_denormals(activations.is_standard ? tanh_f32(chain) : apply(activations.candidate, chain)));
}
template <class V, int kCount>
GRUCORE_INLINE void cells_from(const GateActivations& activations, const PlainVectors<kCount>& of, int i) {
  plain_of_some<V>(activations, of.sum + i, of.out + i);
}
template <int kCount>
GRUCORE_INLINE void cell_at(const GateActivations& activations, const PlainVectors<kCount>& of, int i) {
  cells_from<F32>(activations, of, i);
}

// Collects vectors of units of one row after the other until there are enough for a call.
template <template <int> class Cells>
struct CollectedCells {
  const GateStepArgs& args;
  Cells<kVectorsInStep> vectors;
  int count;

  GRUCORE_INLINE explicit CollectedCells(const GateStepArgs& of) : args(of), count(0) {}

  GRUCORE_INLINE void at(size_t row, const Vector& vector) {
    const Matrix& sums = args.recurrent.y;
    collect(vectors, sums.data + row * sums.stride, row, vector);
    vectors.out[count] = args.out.data + row * args.out.stride + vector.unit();
    if (++count == kVectorsInStep) {
      cells_of(args.activations, vectors);
      count = 0;
    }
  }
  GRUCORE_INLINE void finish() { finish_cells(args.activations, vectors, count); }

 private:
  GRUCORE_INLINE void collect(LstmVectors<kVectorsInStep>& to, const float* sums, size_t row, const Vector& vector) {
    to.input[count] = load_vector(sums + vector.gate(4, 0), vector);
    to.forget[count] = load_vector(sums + vector.gate(4, 1), vector);
    to.candidate[count] = load_vector(sums + vector.gate(4, 2), vector);
    to.output[count] = load_vector(sums + vector.gate(4, 3), vector);
    to.cell[count] = args.cell.data + row * args.cell.stride + vector.unit();
  }
  GRUCORE_INLINE void collect(PlainVectors<kVectorsInStep>& to, const float* sums, size_t, const Vector& vector) {
    to.sum[count] = load_vector(sums + vector.gate(1, 0), vector);
  }
};

template <template <int> class Cells>
struct CellsOfRow {
  CollectedCells<Cells>& cells;
  size_t row;

  GRUCORE_INLINE void at(const Vector& vector) const { cells.at(row, vector); }
};
template <template <int> class Cells>
GRUCORE_INLINE void cells_of_panels(const GateStepArgs& args, uint32_t first, uint32_t panels) {
  const Rows& rows = args.recurrent.rows;
  CollectedCells<Cells> cells(args);
  for (uint32_t i = 0; i < rows.count; ++i) {
    for_each_vector(args.recurrent.weights->rows, first, panels, CellsOfRow<Cells>{cells, row_at(rows, i)});
  }
  cells.finish();
}

void gate_cells(const GateStepArgs& args, uint32_t first, uint32_t panels) {
  if (args.cell.data) return cells_of_panels<LstmVectors>(args, first, panels);
  cells_of_panels<PlainVectors>(args, first, panels);
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
