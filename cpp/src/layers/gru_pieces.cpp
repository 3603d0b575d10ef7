// The GRU with weights of any dtype.
// SPDX-License-Identifier: Apache-2.0
#include "layers/gru.h"

namespace grucore {
namespace detail {

namespace {

void multiply_states(const GruPlan& plan, const RecurrentFrame& frame, const PackedWeights& weights,
                     const ConstMatrix& x, const Matrix& y) {
  ProductArgs args;
  set_product(weights, plan.state_product, &args);
  args.x = x;
  args.y = y;
  args.rows = *frame.rows;
  args.backwards = frame.backwards;
  multiply(*plan.table, args);
}

GateSource projected_gate(const Matrix& projected, uint32_t gate) {
  return {projected.data, projected.stride, 3, gate};
}

void step_reset_before(GruPlan* plan, const RecurrentFrame& frame) {
  const GruParams& p = plan->gru();
  const FloatKernels& floats = *plan->table->floats;
  const Rows& rows = *frame.rows;
  const size_t stride = gate_stride(p), part = size_t{plan->batch} * stride;
  const Matrix projected = {plan->projected + frame.row * projected_stride(p), projected_stride(p)};
  const Matrix sums = {plan->between, projected_stride(p)};
  float* const after_sums = plan->between + size_t{plan->batch} * projected_stride(p);
  const Matrix gated = {after_sums, stride}, candidate = {after_sums + part, stride};
  CellArgs& cell = plan->pieces.cell;
  cell.h = {frame.h, frame.h_stride};
  cell.update = {after_sums + 2 * part, stride};
  cell.rows = rows;
  floats.gather({{projected_gate(projected, 0), projected_gate(projected, 1), {}}, 2, cell.units, sums, rows});
  multiply_states(*plan, frame, p.weight_hh, cell.h, sums);
  cell.out = gated;
  floats.cell_reset(cell);
  floats.gather({{projected_gate(projected, 2), {}, {}}, 1, cell.units, candidate, rows});
  multiply_states(*plan, frame, p.weight_hn, {gated.data, gated.stride}, candidate);
  cell.input_n = {candidate.data, candidate.stride, 1, 0};
  cell.out = {frame.out, plan->y.stride};
  floats.cell_candidate(cell);
}

void step_reset_after(GruPlan* plan, const RecurrentFrame& frame) {
  PanelStepArgs& args = plan->pieces;
  const Rows* const rows = frame.rows;
  args.input.y.data = plan->projected + frame.row * args.input.y.stride;
  args.input.x.data = plan->x + frame.row * args.input.x.stride;
  args.input.rows.index = rows->index;
  args.input.rows.count = rows->count;
  args.recurrent.x.data = frame.h;
  args.recurrent.x.stride = frame.h_stride;
  args.recurrent.rows.index = rows->index;
  args.recurrent.rows.count = rows->count;
  args.cell.h.data = frame.h;
  args.cell.h.stride = frame.h_stride;
  args.cell.out.data = frame.out;
  args.cell.rows.index = rows->index;
  args.cell.rows.count = rows->count;
  args.backwards = frame.backwards;
  if (takes_integers(plan->params->weight_hh.kind)) {
    plan->table->integers->panel_step(args);
  } else {
    plan->table->floats->panel_step(args);
  }
}

}  // namespace

void project(GruPlan* plan, const Rows& all) {
  ProductArgs& input = plan->pieces.input;
  input.weights = &plan->params->weight_ih;
  input.x.data = plan->x;
  input.y.data = plan->projected;
  input.rows = all;
  multiply(*plan->table, input);
}

void plan_mixed(const ConstMatrix& x, float* input_product, uint32_t frames, GruPlan* plan) {
  const GruParams& p = plan->gru();
  PanelStepArgs& args = plan->pieces;
  set_product(p.weight_ih, input_product, &args.input);
  args.input.bias = p.bias;
  args.input.bias_gates = p.bias_gates;
  args.input.range = p.input_range;
  args.input.least = 0.0f;
  args.input.x = x;
  args.input.y = {plan->projected, step_stride(p, frames)};
  set_product(p.weight_hh, plan->state_product, &args.recurrent);
  args.recurrent.overwrites = is_integer(p.weight_hh.kind);
  args.recurrent.y = {plan->between, step_stride(p, frames)};
  args.one_panel = steps_one_panel(p, frames);
  args.bias = p.bias;
  args.cell.activations = p.activations;
  args.cell.units = p.weight_hh.rows;
  args.cell.sums = args.recurrent.y;
  args.cell.out.stride = plan->y.stride;
}

void begin_mixed(GruPlan* plan, uint32_t frames, const Rows& all) {
  plan->pieces.input.weights = &plan->params->weight_ih;
  if ((frames == 1 || plan->batch >= kManyRows) && projects_in_step(plan->gru())) return;
  project(plan, all);
  plan->pieces.input.weights = nullptr;
}

void step_mixed(GruPlan* plan, const RecurrentFrame& first) {
  const auto step_once = plan->gru().is_reset_before() ? step_reset_before : step_reset_after;
  step_once(plan, first);
  if (first.count == 1) return;
  RecurrentFrame frame = first;
  for (uint32_t i = 1; i < first.count; ++i) {
    next_frame(*plan, &frame);
    step_once(plan, frame);
  }
}

}  // namespace detail
}  // namespace grucore
