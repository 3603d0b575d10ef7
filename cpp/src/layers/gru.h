// What the two ways of running a GRU share.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_LAYERS_GRU_H_
#define GRUCORE_LAYERS_GRU_H_

#include "layers/weights.h"

namespace grucore {
namespace detail {

struct GruParams {
  PackedWeights weight_ih;
  PackedWeights weight_hh;
  PackedWeights weight_hn;  // reset-before, of the kind of weight_hh; else data is null
  const float* bias;
  const float* initial_state;
  Activation gate;
  Activation candidate;
  uint32_t bias_gates;
  float input_range;
  bool reverse;
  bool is_masked;
  bool masked_is_zero;
  bool is_float32;  // all of its weights
};

// Whether one kernel does a whole step.
inline bool is_fused(const GruParams& p, const KernelTable& table) { return p.is_float32 && table.floats->gru_step; }

inline bool is_standard(const GruParams& p) {
  return p.gate.code == ActivationCode::kSigmoid && p.candidate.code == ActivationCode::kTanh;
}

// Floats of one gate of a row, and of three.
inline size_t gate_stride(const GruParams& p) { return round_up(p.weight_hh.rows, kPanel); }
inline size_t projected_stride(const GruParams& p) { return 3 * gate_stride(p); }

// Scratch: the projected inputs, what a step keeps between its products, the rows that a mask leaves, then what
// quantized products need of inputs and of states. Float32 weights project blocks of several frames only.
struct GruScratch {
  uint64_t projected, cell, rows, input_product, state_product, end;
};
GruScratch lay_out(const GruParams& p, bool fused, uint32_t batch, uint32_t frames);

// Where one frame's rows stand, and the scratch of a step.
struct GruFrame {
  ConstMatrix x;
  Matrix projected;   // the chains after the input
  bool is_projected;  // they are there
  bool backwards;     // last panel first
  ConstMatrix h;
  Matrix out;
  Rows rows;
  uint32_t batch;
  float* cell;
  float* input_product;
  float* state_product;
};

// With weights of any dtype: the chains after the inputs of all rows of a block; one step.
void project(const GruParams& p, const KernelTable& table, const GruFrame& block);
void step_mixed(const GruParams& p, const KernelTable& table, const GruFrame& frame);

// Whether step_mixed does the input product itself: where one kernel table's file has both.
inline bool projects_in_step(const GruParams& p) {
  return !p.weight_hn.data && is_integer(p.weight_ih.kind) == is_integer(p.weight_hh.kind);
}

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_LAYERS_GRU_H_
