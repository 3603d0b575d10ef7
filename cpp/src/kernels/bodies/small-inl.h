// Steps of a small layer of a single row, float32 weights: all chains of all units in registers at once, the sizes
// known to the compiler. Included once per instruction set, inside its target region, after gru-inl.h's cells.
//
// In a step of few units everything but the chain of operations from h to h' costs as much as that chain, so this file
// has no tiles, and writes h' straight to where the next step reads it.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// Panels of 16 units, and after them 8 units or none. kGates: 3 of a reset-after GRU, 4 of an LSTM, 1 of a plain layer.
template <int kGates, int kWhole, int kRest>
struct SmallCell {
  static_assert(kRest == 0 || (kRest == 8 && kLanes >= 8), "half a panel is one vector");
  static constexpr int kOfPanels = kWhole * kPanelVectors, kVectors = kOfPanels + (kRest ? 1 : 0);
  // As many sums as stay in registers.
  static constexpr bool kFits = kVectors * kGates <= (kLanes >= 16 ? 24 : 12) && kVectors <= 4;

  const FloatStepArgs& args;
  const FloatCell& cell;
  F32 sums[kVectors][kGates];

  GRUCORE_INLINE explicit SmallCell(const FloatStepArgs& of) : args(of), cell(*of.cell) {}

  // sums[v][to] = gate `gate` of values laid out as panel16 with `gates` gates and k = 1.
  GRUCORE_INLINE void set(int to, const float* values, int gates, int gate) {
    GRUCORE_UNROLL(8)
    for (int v = 0; v < kOfPanels; ++v) {
      const int panel = v / kPanelVectors, lane = v % kPanelVectors * kLanes;
      sums[v][to] = load(values + panel * gates * 16 + gate * 16 + lane);
    }
    if constexpr (kRest != 0) sums[kOfPanels][to] = load_lanes<8>(values + kWhole * gates * 16 + gate * 8);
  }
  GRUCORE_INLINE void add_input(const float* const* w, size_t k, float x) {
    const F32 xk = broadcast(x);
    GRUCORE_UNROLL(8)
    for (int v = 0; v < kOfPanels; ++v) {
      const float* at = w[v / kPanelVectors] + k * (16 * kGates) + v % kPanelVectors * kLanes;
      GRUCORE_UNROLL(4)
      for (int g = 0; g < kGates; ++g) sums[v][g] = mul_add(load(at + g * 16), xk, sums[v][g]);
    }
    if constexpr (kRest != 0) {
      const float* at = w[kWhole] + k * (8 * kGates);
      GRUCORE_UNROLL(4)
      for (int g = 0; g < kGates; ++g) {
        if constexpr (kLanes > 8) {  // half a register is half the work on some processors
          sums[kOfPanels][g] = mul_add_eight(at + g * 8, xk, sums[kOfPanels][g]);
        } else {
          sums[kOfPanels][g] = mul_add(load(at + g * 8), xk, sums[kOfPanels][g]);
        }
      }
    }
  }
  GRUCORE_INLINE void multiply(const PanelWeights& weights, const float* x) {
    const size_t inputs = weights.inputs;
    const float* w[kWhole + 1];
    GRUCORE_UNROLL(8)
    for (int p = 0; p <= kWhole; ++p) w[p] = weights.data + static_cast<size_t>(p) * 16 * kGates * inputs;
    for (size_t k = 0; k < inputs; ++k) add_input(w, k, x[k]);
  }
  GRUCORE_INLINE void take_gate(int gate, F32* to) const {
    GRUCORE_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) to[v] = sums[v][gate];
  }

  GRUCORE_INLINE void step(const float* x, const float* projected, const float* h, float* out) {
    GRUCORE_UNROLL(4)
    for (int g = 0; g < kGates; ++g) {
      if (projected) {
        set(g, projected, kGates, g);
      } else {
        set(g, cell.bias, kGates == 3 ? 4 : kGates, g);
      }
    }
    if (!projected) multiply(cell.weight_ih, x);
    if constexpr (kGates == 3) {
      finish_gru(h, out);
    } else {
      multiply(cell.weight_hh, h);
      GateVectors<kGates, kVectors> vectors;
      if constexpr (kGates == 4) {
        take_gate(0, vectors.input);
        take_gate(1, vectors.forget);
        take_gate(2, vectors.candidate);
        take_gate(3, vectors.output);
      } else {
        take_gate(0, vectors.sum);
      }
      point(vectors, out, args.scratch.data);
      cells_of(cell.gate_activations, vectors);
    }
  }

 private:
  GRUCORE_INLINE void finish_gru(const float* h, float* out) {
    CellVectors<kVectors> vectors;
    take_gate(2, vectors.candidate);
    set(2, cell.bias, 4, 3);
    multiply(cell.weight_hh, h);
    if constexpr (kVectors == 1) {
      store(out, cell_of_vector(cell.activations, sums[0][0], sums[0][1], vectors.candidate[0], sums[0][2], load(h)));
    } else {
      take_gate(0, vectors.reset);
      take_gate(1, vectors.update);
      take_gate(2, vectors.recurrent);
      GRUCORE_UNROLL(8)
      for (int v = 0; v < kVectors; ++v) {
        vectors.h[v] = h + v * kLanes;
        vectors.out[v] = out + v * kLanes;
      }
      cells_of(cell.activations, vectors);
    }
  }
};

template <class Cell>
GRUCORE_NOINLINE void small_steps(const FloatStepArgs& args) {
  const auto copy = [](float* to, const float* from) {
    GRUCORE_UNROLL(8)
    for (int v = 0; v < Cell::kVectors; ++v) store(to + v * kLanes, load(from + v * kLanes));
  };
  Cell cell(args);
  const float *x = args.x.data, *projected = args.projected.data, *h = args.h.data;
  float* out = args.out.data;
  if (args.frames == 1) {
    // All of h has been read before the first of it is written.
    cell.step(x, projected, h, args.keep ? args.keep : out);
    if (args.keep) copy(out, args.keep);
    return;
  }
  const ConstMatrix& input = projected ? args.projected : args.x;
  const ptrdiff_t input_pitch = args.frame_rows * static_cast<ptrdiff_t>(input.stride);
  const ptrdiff_t out_pitch = args.frame_rows * static_cast<ptrdiff_t>(args.out.stride);
  for (uint32_t frame = 0;;) {
    cell.step(x, projected, h, out);
    h = out;
    if (++frame == args.frames) break;
    (projected ? projected : x) += input_pitch;
    out += out_pitch;
  }
  if (args.keep) copy(args.keep, h);
}

template <int kGates, int kWhole, int kRest>
GRUCORE_INLINE bool took_small_steps_of(const FloatStepArgs& args) {
  if constexpr (kLanes >= 8) {
    if constexpr (SmallCell<kGates, kWhole, kRest>::kFits) {
      small_steps<SmallCell<kGates, kWhole, kRest>>(args);
      return true;
    }
  }
  return false;
}
// The steps of row 0, if its layer is small.
template <int kGates>
GRUCORE_INLINE bool took_small_steps(const FloatStepArgs& args) {
  switch (args.cell->weight_hh.rows) {
    case 8: return took_small_steps_of<kGates, 0, 8>(args);
    case 16: return took_small_steps_of<kGates, 1, 0>(args);
    case 24: return took_small_steps_of<kGates, 1, 8>(args);
    case 32: return took_small_steps_of<kGates, 2, 0>(args);
    case 40: return took_small_steps_of<kGates, 2, 8>(args);
    case 48: return took_small_steps_of<kGates, 3, 0>(args);
    default: return false;
  }
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
