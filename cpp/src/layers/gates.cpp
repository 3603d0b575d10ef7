// Layers whose gates are one chain each, with weights of any dtype: products that continue the chains in memory, and
// the cells. SPDX-License-Identifier: Apache-2.0
#include "layers/gates.h"

namespace grucore {
namespace detail {

namespace {

const GateParams& of(const void* params) { return *static_cast<const GateParams*>(params); }

size_t chain_stride(const GateParams& p) { return p.gates * gate_stride(p); }

// Scratch: the chains, the rows that a mask leaves, then what quantized products need of inputs and of states.
struct GateScratch {
  uint64_t rows, input_product, state_product, end;
};

GateScratch lay_out(const GateParams& p, uint32_t batch, uint32_t frames) {
  const uint64_t rows = uint64_t{batch} * frames;
  GateScratch at;
  at.rows = chain_stride(p) * rows;
  at.input_product = align_up(at.rows + (p.is_masked ? batch : 0), kPanel);
  at.state_product = at.input_product + product_scratch(p.weight_ih, rows);
  at.end = at.state_product + product_scratch(p.weight_hh, batch);
  return at;
}

void begin(GatePlan* plan, uint32_t frames, const Rows& all) {
  ProductArgs& input = plan->pieces.input;
  input.weights = &plan->params->weight_ih;
  plan->whole.projected.data = nullptr;
  if (plan->batch == 1 && !projects_blocks(*plan->params, plan->is_fused)) return;
  if ((frames == 1 || plan->batch >= kManyRows) && has_one_table(*plan->params)) return;
  input.x.data = plan->x;
  input.y.data = plan->projected;
  input.rows = all;
  multiply(*plan->table, input);
  input.weights = nullptr;
  plan->whole.projected.data = plan->projected;
}

// Steps of a single row by one kernel.
void step_row(GatePlan* plan, const RecurrentFrame& frame) {
  FloatStepArgs& args = plan->whole;
  if (args.projected.data) {
    args.projected.data = plan->projected + frame.row * args.projected.stride;
  } else {
    args.x.data = plan->x + frame.row * args.x.stride;
  }
  args.h.data = frame.h;
  args.h.stride = frame.h_stride;
  args.out.data = frame.out;
  args.rows.index = frame.rows->index;
  args.rows.count = 1;
  args.backwards = frame.backwards;
  args.frames = frame.count;
  plan->table->floats->gate_steps(args);
}

void step_once(GatePlan* plan, const RecurrentFrame& frame) {
  GateStepArgs& args = plan->pieces;
  float* const chains = plan->projected + frame.row * args.input.y.stride;
  args.input.y.data = chains;
  args.input.x.data = plan->x + frame.row * args.input.x.stride;
  args.input.rows.index = frame.rows->index;
  args.input.rows.count = frame.rows->count;
  args.recurrent.y.data = chains;
  args.recurrent.x.data = frame.h;
  args.recurrent.x.stride = frame.h_stride;
  args.recurrent.rows.index = frame.rows->index;
  args.recurrent.rows.count = frame.rows->count;
  args.out.data = frame.out;
  args.backwards = frame.backwards;
  if (takes_integers(plan->params->weight_hh.kind)) {
    plan->table->integers->gate_step(args);
  } else {
    plan->table->floats->gate_step(args);
  }
}

void step(GatePlan* plan, const RecurrentFrame& first) {
  if (plan->is_fused && first.rows->count == 1) return step_row(plan, first);
  RecurrentFrame frame = first;
  for (uint32_t i = 0;;) {
    step_once(plan, frame);
    if (++i == first.count) return;
    next_frame(*plan, &frame);
  }
}

// The arguments of one kernel's steps, and those of a frame of a stream's only row, which change no more.
void plan_whole(const NodeMemory& memory, const ValueBuffer& x, GatePlan* plan) {
  const GateParams& p = *static_cast<const GateParams*>(plan->params);
  plan->is_fused = p.is_float32 && plan->table->floats->gate_steps;
  if (!plan->is_fused) return;
  plan->cell.weight_ih = as_panels(p.weight_ih);
  plan->cell.weight_hh = as_panels(p.weight_hh);
  plan->cell.bias = p.bias;
  plan->cell.gate_activations = p.activations;
  FloatStepArgs& args = plan->whole;
  args.cell = &plan->cell;
  args.x = {nullptr, x.stride};
  args.projected = {nullptr, chain_stride(p)};
  args.out = {nullptr, plan->y.stride};
  args.scratch = plan->pieces.cell;
  args.frame_rows = frame_rows(*plan);
  plan_one(memory, x, args, plan);
}

}  // namespace

Status parse_gate_tensors(const NodeSource& source, uint32_t gates, bool has_cell, GateParams* params) {
  const uint32_t hidden = source.result().features;
  uint32_t tensors = 1;
  params->gates = gates;
  GRUCORE_TRY(parse_recurrent_weights(source, gates, gates, params, &tensors));
  if (has_cell && source.find(Role::kInitialCell)) {
    GRUCORE_TRY(source.vector(Role::kInitialCell, hidden, &params->initial_cell));
    ++tensors;
  }
  GRUCORE_TRY(source.expect_tensors(tensors));
  PanelWeights bias;
  GRUCORE_TRY(source.panels(Role::kBias, gates, hidden, 0, &bias));
  params->bias = bias.data;
  return Status::kOk;
}

uint64_t gate_macs(const void* params) { return recurrent_macs(of(params), of(params).gates); }
uint32_t gate_products(const void* params) { return recurrent_products(of(params)); }
bool gates_read_future(const void* params) { return of(params).reverse; }

uint64_t gate_scratch(const void* params, const KernelTable&, uint32_t batch, uint32_t frames) {
  return lay_out(of(params), batch, frames).end;
}

void plan_gates(const Node& node, const NodeMemory& memory, const StreamShape& shape) {
  const GateParams& p = node.as<GateParams>();
  GatePlan& plan = *static_cast<GatePlan*>(memory.plan);
  set_plan(node, p, shape, &plan);
  const GateScratch at = lay_out(p, shape.batch, shape.frames);
  plan.projected = memory.scratch;
  plan.rows = reinterpret_cast<uint32_t*>(memory.scratch + at.rows);
  GateStepArgs& args = plan.pieces;
  set_product(p.weight_ih, memory.scratch + at.input_product, &args.input);
  args.input.bias = p.bias;
  args.input.bias_gates = p.gates;
  args.input.range = p.input_range;
  args.input.least = 0.0f;
  args.input.x = {nullptr, shape.values[node.inputs[0]].stride};
  args.input.y = {nullptr, chain_stride(p)};
  set_product(p.weight_hh, memory.scratch + at.state_product, &args.recurrent);
  args.recurrent.y = args.input.y;
  args.activations = p.activations;
  args.cells = shape.table->floats->gate_cells;
  // The state h of a node is padded to whole panels, and c stands after it.
  if (p.gates > 1) args.cell = {memory.state + gate_stride(p), memory.state_stride};
  args.out = {nullptr, plan.y.stride};
  plan_whole(memory, shape.values[node.inputs[0]], &plan);
}

void run_gates(const Node& node, const NodeMemory& memory, const Block& block) {
  GatePlan& plan = *static_cast<GatePlan*>(memory.plan);
  if (!run_one(block, plan.table->floats->gate_steps, &plan)) {
    run_recurrent<GatePlan, begin, step>(node, memory, block);
  }
}

}  // namespace detail
}  // namespace grucore
