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
  PackedWeights weight_hn;  // reset-before; else data is null
  const float* bias;
  const float* initial_state;
  Activation gate;
  Activation candidate;
  uint32_t bias_gates;
  float input_range;
  bool reverse;
  bool is_masked;
  bool masked_is_zero;
  bool is_fused;  // all weights are float32, for which there is one kernel
};

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
GruScratch lay_out(const GruParams& p, uint32_t batch, uint32_t frames);

// Where one frame's rows stand.
struct GruFrame {
  ConstMatrix x;
  ConstMatrix projected;
  ConstMatrix h;
  Matrix out;
  Rows rows;
};

// With weights of any dtype: the chains after the inputs of all rows of a block, and one step from there.
void project(const GruParams& p, const KernelTable& table, const ConstMatrix& x, const Matrix& projected,
             const Rows& rows, float* product_scratch);
void step_mixed(const GruParams& p, const KernelTable& table, const GruFrame& frame, uint32_t batch, float* cell,
                float* product_scratch);

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_LAYERS_GRU_H_
