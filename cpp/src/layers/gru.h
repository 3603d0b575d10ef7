// What the two ways of running a GRU share.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_LAYERS_GRU_H_
#define GRUCORE_LAYERS_GRU_H_

#include "layers/weights.h"

namespace grucore {
namespace detail {

struct GruParams {
  GruCell cell;  // as kernels want it that take nothing but float32
  PackedWeights weight_ih;
  PackedWeights weight_hh;
  PackedWeights weight_hn;  // reset-before, of the kind of weight_hh; else data is null
  const float* initial_state;
  uint32_t bias_gates;
  float input_range;
  bool reverse;
  bool is_masked;
  bool masked_is_zero;
  bool is_float32;  // all of its weights
};

// Whether one kernel does a whole step.
inline bool is_fused(const GruParams& p, const KernelTable& table) { return p.is_float32 && table.floats->gru_step; }

// Floats of one gate of a row, and of three.
inline size_t gate_stride(const GruParams& p) { return round_up(p.weight_hh.rows, kPanel); }
inline size_t projected_stride(const GruParams& p) { return 3 * gate_stride(p); }

// Scratch: the projected inputs, what a step keeps between its products, the rows that a mask leaves, then what
// quantized products need of inputs and of states. Float32 weights project blocks of several frames only.
struct GruScratch {
  uint64_t projected, cell, rows, input_product, state_product, end;
};
GruScratch lay_out(const GruParams& p, bool fused, uint32_t batch, uint32_t frames);

// What the steps of a block share.
struct GruBlock {
  const GruParams& p;
  const KernelTable& table;
  ConstMatrix x;
  Matrix y;
  size_t state_stride;
  float* scratch;
  GruScratch at;
  uint32_t batch;
  uint32_t frames;
  const Rows* all;  // of the block
};

// One frame of it. Steps write few of their arguments anew and copy no struct: a load that spans two stores waits
// until both have left the processor, and with them all that went before.
struct GruFrame {
  size_t row;  // of the block, where the frame starts
  const float* h;
  size_t h_stride;
  float* out;
  const Rows* rows;
  bool backwards;  // last panel first
};

// With float32 weights, a kernel that keeps the chains in registers.
class FusedSteps {
 public:
  explicit FusedSteps(const GruBlock& block);
  void step(const GruFrame& frame);

 private:
  const KernelTable& table_;
  float* projected_;  // of the block; null: a step does the input product
  GruArgs args_;
};

// With weights of any dtype, each matrix of its own: products that continue the chains in memory, and the cell.
class MixedSteps {
 public:
  explicit MixedSteps(const GruBlock& block);
  void step(const GruFrame& frame);

 private:
  void step_reset_before(const GruFrame& frame);
  void multiply_states(const PackedWeights& weights, const ConstMatrix& x, const Matrix& y, const Rows& rows);

  const GruBlock& block_;
  float* projected_;
  bool is_integer_;
  PanelStepArgs args_;
};

// The chains after the inputs of all rows of a block, into its scratch.
void project(const GruBlock& block);

// Whether MixedSteps does the input product of a single frame itself: where one kernel table's file has both.
inline bool projects_in_step(const GruParams& p) {
  return !p.weight_hn.data && is_integer(p.weight_ih.kind) == is_integer(p.weight_hh.kind);
}

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_LAYERS_GRU_H_
