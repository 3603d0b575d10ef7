// The shared part of the two ways of running a GRU.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_LAYERS_GRU_H_
#define GRUCORE_LAYERS_GRU_H_

#include "layers/recurrent.h"

namespace grucore {
namespace detail {

struct GruParams : RecurrentParams {
  PackedWeights weight_hn;  // reset-before, of the kind of weight_hh; else data is null
  CellActivations activations;
  uint32_t bias_gates;

  bool is_reset_before() const { return has_cell(GruCellKind::kResetBefore) && weight_hn.data; }
};

// True if one kernel does a whole step.
inline bool is_fused(const GruParams& p, const KernelTable& table) { return p.is_float32 && table.floats->gru_steps; }

// Floats of three gates of a row.
inline size_t projected_stride(const GruParams& p) { return 3 * gate_stride(p); }

// True if a step can do its input product itself: where one kernel table's file has both.
inline bool projects_in_step(const GruParams& p) { return !p.is_reset_before() && has_one_table(p); }
// True if a step needs room for the chains of one panel only, and how many floats of a row it needs.
inline bool steps_one_panel(const GruParams& p, uint32_t frames) {
  return kStepsOnePanel && frames == 1 && projects_in_step(p);
}
inline size_t step_stride(const GruParams& p, uint32_t frames) {
  return steps_one_panel(p, frames) ? size_t{3} * kPanel : projected_stride(p);
}

// Scratch: the projected inputs, what a step keeps between its products, the rows that a mask leaves, then what
// quantized products need of inputs and of states. One kernel's steps project blocks of several frames only.
struct GruScratch {
  uint64_t projected, cell, rows, input_product, state_product, end;
};
GruScratch lay_out(const GruParams& p, bool fused, uint32_t batch, uint32_t frames);

struct GruPlan : RecurrentPlan {
  float* between;  // what a step keeps between its products
  float* state_product;
  FloatCell cell;
  FloatStepArgs whole;   // of one kernel, with that cell
  PanelStepArgs pieces;  // of products and cells; of the fused way its input product alone

  const GruParams& gru() const { return *static_cast<const GruParams*>(params); }
};

// The chains after the inputs of all rows of a block.
void project(GruPlan* plan, const Rows& all);

// With weights of any dtype, each matrix of its own: products that continue the chains in memory, and the cell.
void plan_mixed(const ConstMatrix& x, float* input_product, uint32_t frames, GruPlan* plan);
void begin_mixed(GruPlan* plan, uint32_t frames, const Rows& all);
void step_mixed(GruPlan* plan, const RecurrentFrame& frame);

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_LAYERS_GRU_H_
