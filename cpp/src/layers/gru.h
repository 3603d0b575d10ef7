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
  CellActivations activations;
  uint32_t bias_gates;
  float input_range;
  bool reverse;
  bool is_masked;
  bool masked_is_zero;
  bool is_float32;  // all of its weights
};

// Whether one kernel does a whole step.
inline bool is_fused(const GruParams& p, const KernelTable& table) { return p.is_float32 && table.floats->gru_steps; }

// Floats of one gate of a row, and of three.
inline size_t gate_stride(const GruParams& p) { return round_up(p.weight_hh.rows, kPanel); }
inline size_t projected_stride(const GruParams& p) { return 3 * gate_stride(p); }

// Whether the inputs of a block are multiplied before its steps. So few are not, where one kernel does a whole step: it
// has the time while it waits for the states.
constexpr uint32_t kFewInputs = 8;
inline bool projects_blocks(const GruParams& p, bool fused) { return !fused || p.weight_ih.inputs > kFewInputs; }

// Scratch: the projected inputs, what a step keeps between its products, the rows that a mask leaves, then what
// quantized products need of inputs and of states. One kernel's steps project blocks of several frames only.
struct GruScratch {
  uint64_t projected, cell, rows, input_product, state_product, end;
};
GruScratch lay_out(const GruParams& p, bool fused, uint32_t batch, uint32_t frames);

// What the steps of a stream share. Steps write few of these arguments anew and copy no struct: a load that spans two
// stores waits until both have left the processor, and with them all that went before.
struct GruPlan {
  const GruParams* params;
  const KernelTable* table;
  const ValueBuffer* mask;  // null: none
  const float* x;
  Matrix y;
  float* projected;  // the chains after the inputs of a block
  float* between;    // what a step keeps between its products
  uint32_t* rows;    // that a mask leaves
  float* state_product;
  uint32_t batch;
  bool is_fused;
  GruCell cell;
  GruArgs whole;         // of one kernel, with that cell
  PanelStepArgs pieces;  // of products and cells; of the fused way its input product alone
};

// Frames of a block.
struct GruFrame {
  size_t row;  // of the block, where the first one starts
  const float* h;
  size_t h_stride;
  float* out;
  const Rows* rows;
  uint32_t count;  // more than one: of all rows
  bool backwards;  // last panel first; of several frames every other one the other way round
};

// The chains after the inputs of all rows of a block.
void project(GruPlan* plan, const Rows& all);

// With weights of any dtype, each matrix of its own: products that continue the chains in memory, and the cell.
void plan_mixed(const ConstMatrix& x, float* input_product, GruPlan* plan);
void begin_mixed(GruPlan* plan, uint32_t frames, const Rows& all);
void step_mixed(GruPlan* plan, const GruFrame& frame);

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_LAYERS_GRU_H_
