// The GRU layer, one direction: both cells.
// SPDX-License-Identifier: Apache-2.0
#include "layers/gru.h"

namespace grucore {
namespace detail {

namespace {

const GruParams& of(const void* params) { return *static_cast<const GruParams*>(params); }

Status parse_tensors(const NodeSource& source, bool reset_before, GruParams* params) {
  const uint32_t hidden = source.result().features;
  uint32_t tensors = 1;
  GRUCORE_TRY(parse_recurrent_weights(source, 3, reset_before ? 2 : 3, params, &tensors));
  if (has_cell(GruCellKind::kResetBefore) && reset_before) {
    GRUCORE_TRY(parse_weights(source, {Role::kWeightHn, Role::kWeightHnScale}, {1, hidden, hidden}, &params->weight_hn,
                              &tensors));
    const PackedWeights &gates = params->weight_hh, &candidate = params->weight_hn;
    if (candidate.kind != gates.kind || candidate.activation_bits != gates.activation_bits) {
      source.blame(Role::kWeightHn);
      const size_t record = source.find(Role::kWeightHn)->record_offset;
      return candidate.kind != gates.kind
                 ? source.reader.refuse(Status::kUnknownDtype, record + 4, static_cast<size_t>(candidate.kind),
                                        static_cast<size_t>(gates.kind))
                 : source.reader.refuse(Status::kBadShape, record + 44, candidate.activation_bits,
                                        gates.activation_bits);
    }
  }
  GRUCORE_TRY(source.expect_tensors(tensors));
  PanelWeights bias;
  params->bias_gates = reset_before ? 3 : 4;
  GRUCORE_TRY(source.panels(Role::kBias, params->bias_gates, hidden, 0, &bias));
  params->bias = bias.data;
  return Status::kOk;
}

Status parse(const NodeSource& source, void* out) {
  GruParams& params = *new_params<GruParams>(out);
  GRUCORE_TRY(parse_recurrent_values(source, &params));
  GRUCORE_TRY(source.expect_attributes(9));
  uint32_t cell = 0;
  GRUCORE_TRY(source.attribute(0, 1, &cell));
  if (!has_cell(static_cast<GruCellKind>(cell))) {
    return source.reader.refuse(Status::kBadAttribute, source.attribute_offset, cell, 1 - cell);
  }
  GRUCORE_TRY(parse_direction(source, 1, &params));
  CellActivations& activations = params.activations;
  GRUCORE_TRY(source.activation(3, kGateActivationCount, &activations.gate));
  GRUCORE_TRY(source.activation(6, kGateActivationCount, &activations.candidate));
  activations.is_standard =
      activations.gate.code == ActivationCode::kSigmoid && activations.candidate.code == ActivationCode::kTanh;
  return parse_tensors(source, cell == 1, &params);
}

uint32_t states(const void* params, StateSpec* out) {
  *out = {".h", 0, of(params).weight_hh.rows, true, of(params).initial_state};
  return 1;
}
bool reads_future(const void* params) { return of(params).reverse; }

uint64_t macs(const void* params) { return recurrent_macs(of(params), 3); }
uint32_t products(const void* params) { return recurrent_products(of(params)); }

uint64_t scratch_floats(const void* params, const KernelTable& table, uint32_t batch, uint32_t frames) {
  return lay_out(of(params), is_fused(of(params), table), batch, frames).end;
}

void plan(const Node& node, const NodeMemory& memory, const StreamShape& shape) {
  const GruParams& p = node.as<GruParams>();
  GruPlan& plan = *static_cast<GruPlan*>(memory.plan);
  const ValueBuffer& x = shape.values[node.inputs[0]];
  set_plan(node, p, shape, &plan);
  plan.is_fused = is_fused(p, *shape.table);
  const GruScratch at = lay_out(p, plan.is_fused, shape.batch, shape.frames);
  plan.projected = memory.scratch + at.projected;
  plan.between = memory.scratch + at.cell;
  plan.rows = reinterpret_cast<uint32_t*>(memory.scratch + at.rows);
  plan.state_product = memory.scratch + at.state_product;
  FloatStepArgs& args = plan.whole;
  plan.cell = {as_panels(p.weight_ih), as_panels(p.weight_hh), as_panels(p.weight_hn), p.bias, {p.activations}};
  args.cell = &plan.cell;
  args.x = {nullptr, x.stride};
  args.projected = {nullptr, projected_stride(p)};
  args.out = {nullptr, plan.y.stride};
  args.scratch = {plan.between, projected_stride(p)};
  args.frame_rows = frame_rows(plan);
  if (plan.is_fused) plan_one(memory, x, args, &plan);
  plan_mixed({x.data, x.stride}, memory.scratch + at.input_product, shape.frames, &plan);
}

void begin(GruPlan* plan, uint32_t frames, const Rows& all) {
  if (!plan->is_fused) return begin_mixed(plan, frames, all);
  plan->whole.projected.data = nullptr;
  if (frames == 1 || !projects_blocks(*plan->params, true)) return;
  project(plan, all);
  plan->whole.projected.data = plan->projected;
}

void step(GruPlan* plan, const RecurrentFrame& frame) {
  if (!plan->is_fused) return step_mixed(plan, frame);
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
  args.rows.count = frame.rows->count;
  args.backwards = frame.backwards;
  args.frames = frame.count;
  plan->table->floats->gru_steps(args);
}

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  GruPlan& plan = *static_cast<GruPlan*>(memory.plan);
  if (!run_one(block, plan.table->floats->gru_steps, &plan)) {
    run_recurrent<GruPlan, begin, step>(node, memory, block);
  }
}

constexpr LayerKind make() {
  LayerKind kind = {1, "gru", parse, run};
  kind.reads_future = reads_future;
  kind.macs = macs;
  kind.products = products;
  kind.states = states;
  kind.scratch_floats = scratch_floats;
  kind.plan_bytes = sizeof(GruPlan);
  kind.plan = plan;
  return kind;
}

}  // namespace

GruScratch lay_out(const GruParams& p, bool fused, uint32_t batch, uint32_t frames) {
  const uint64_t rows = uint64_t{batch} * frames;
  const uint64_t cell = fused ? (p.is_reset_before() ? projected_stride(p) : 0)
                              : step_stride(p, frames) + (p.is_reset_before() ? 3 * gate_stride(p) : 0);
  GruScratch at;
  at.projected = 0;
  at.cell = !fused || (frames > 1 && projects_blocks(p, fused)) ? step_stride(p, frames) * rows : 0;
  at.rows = at.cell + cell * batch;
  at.input_product = align_up(at.rows + (p.is_masked ? batch : 0), kPanel);
  at.state_product = at.input_product + product_scratch(p.weight_ih, rows);
  at.end = at.state_product + product_scratch(p.weight_hh, batch);  // weight_hn takes as much
  return at;
}

extern const LayerKind kGruLayer;
const LayerKind kGruLayer = make();

}  // namespace detail
}  // namespace grucore
