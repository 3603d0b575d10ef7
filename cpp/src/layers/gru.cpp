// The GRU layer, one direction: both cells.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/gru.h"

namespace grucore {
namespace detail {

namespace {

const GruParams& of(const void* params) { return *static_cast<const GruParams*>(params); }

Status parse_mask(const NodeSource& source) {
  const Value& x = source.input(0);
  const Value& mask = source.input(1);
  if (mask.dtype != Dtype::kInt32 || mask.features != 1) return source.refuse(Status::kBadShape, mask.features, 1);
  if (mask.rate != x.rate || mask.period != x.period || mask.skip != x.skip) {
    return source.refuse(Status::kBadShape, mask.skip, x.skip);
  }
  return Status::kOk;
}

Status parse_tensors(const NodeSource& source, bool reset_before, GruParams* params) {
  const uint32_t inputs = source.input(0).features;
  const uint32_t hidden = source.result().features;
  const bool has_initial = source.find(Role::kInitialState) != nullptr;
  uint32_t tensors = has_initial ? 2 : 1;
  GRUCORE_TRY(parse_weights(source, {Role::kWeightIh, Role::kWeightIhScale}, {3, hidden, inputs}, &params->weight_ih,
                            &tensors));
  GRUCORE_TRY(parse_weights(source, {Role::kWeightHh, Role::kWeightHhScale}, {reset_before ? 2u : 3u, hidden, hidden},
                            &params->weight_hh, &tensors));
  if (reset_before) {
    GRUCORE_TRY(parse_weights(source, {Role::kWeightHn, Role::kWeightHnScale}, {1, hidden, hidden}, &params->weight_hn,
                              &tensors));
    const PackedWeights &gates = params->weight_hh, &candidate = params->weight_hn;
    if (candidate.kind != gates.kind || candidate.activation_bits != gates.activation_bits) {
      source.blame(Role::kWeightHn);
      const uint64_t record = source.find(Role::kWeightHn)->record_offset;
      return candidate.kind != gates.kind
                 ? source.reader.refuse(Status::kUnknownDtype, record + 4, static_cast<uint64_t>(candidate.kind),
                                        static_cast<uint64_t>(gates.kind))
                 : source.reader.refuse(Status::kBadShape, record + 44, candidate.activation_bits,
                                        gates.activation_bits);
    }
  }
  GRUCORE_TRY(parse_input_range(source, params->weight_ih, &params->input_range, &tensors));
  GRUCORE_TRY(source.expect_tensors(tensors));
  params->is_float32 = is_float32(params->weight_ih) && is_float32(params->weight_hh);
  PanelWeights bias;
  params->bias_gates = reset_before ? 3 : 4;
  GRUCORE_TRY(source.panels(Role::kBias, params->bias_gates, hidden, 0, &bias));
  params->bias = bias.data;
  return has_initial ? source.vector(Role::kInitialState, hidden, &params->initial_state) : Status::kOk;
}

Status parse(const NodeSource& source, void* out) {
  GruParams& params = *new_params<GruParams>(out);
  params.is_masked = source.input_count == 2;
  if (!params.is_masked) GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  GRUCORE_TRY(source.expect_same_clock(0));
  if (source.input(0).rate == Rate::kSequence) return source.refuse(Status::kBadShape, 2, 0);
  if (params.is_masked) GRUCORE_TRY(parse_mask(source));
  GRUCORE_TRY(source.expect_attributes(9));
  uint32_t cell = 0, direction = 0, masked_output = 0;
  GRUCORE_TRY(source.attribute(0, 1, &cell));
  GRUCORE_TRY(source.attribute(1, 1, &direction));
  GRUCORE_TRY(source.attribute(2, params.is_masked ? 1 : 0, &masked_output));
  CellActivations& activations = params.activations;
  GRUCORE_TRY(source.activation(3, kGateActivationCount, &activations.gate));
  GRUCORE_TRY(source.activation(6, kGateActivationCount, &activations.candidate));
  activations.is_standard =
      activations.gate.code == ActivationCode::kSigmoid && activations.candidate.code == ActivationCode::kTanh;
  params.reverse = direction == 1;
  params.masked_is_zero = masked_output == 1;
  GRUCORE_TRY(parse_tensors(source, cell == 1, &params));
  return Status::kOk;
}

uint32_t states(const void* params, StateSpec* out) {
  *out = {".h", 0, of(params).weight_hh.rows, true, of(params).initial_state};
  return 1;
}
bool reads_future(const void* params) { return of(params).reverse; }

uint64_t macs(const void* params) {
  const GruParams& p = of(params);
  return 3 * uint64_t{p.weight_hh.rows} * (p.weight_ih.inputs + uint64_t{p.weight_hh.rows});
}

uint32_t products(const void* params) { return products_of(of(params).weight_ih) | products_of(of(params).weight_hh); }

uint64_t scratch_floats(const void* params, const KernelTable& table, uint32_t batch, uint32_t frames) {
  return lay_out(of(params), is_fused(of(params), table), batch, frames).end;
}

// h = the new state, for the rows that took part.
void keep(const NodeMemory& memory, const float* out, size_t stride, uint32_t hidden, const Rows& rows) {
  for (uint32_t i = 0; i < rows.count; ++i) {
    const uint32_t row = row_of(rows, i);
    memcpy(memory.state + row * memory.state_stride, out + row * stride, round_up(hidden, kPanel) * sizeof(float));
  }
}

// The rows of one frame that the mask lets through; the others get their outputs here.
Rows pass_mask(const GruPlan& plan, const NodeMemory& memory, size_t first, float* out, const Rows& rows) {
  const GruParams& p = *plan.params;
  uint32_t count = 0;
  const size_t bytes = size_t{p.weight_hh.rows} * sizeof(float);
  for (uint32_t i = 0; i < rows.count; ++i) {
    const uint32_t row = row_of(rows, i);
    uint32_t open;
    memcpy(&open, plan.mask->data + (first + row) * plan.mask->stride, sizeof open);
    if (open) {
      plan.rows[count++] = row;
    } else if (p.masked_is_zero) {
      memset(out + row * plan.y.stride, 0, bytes);
    } else {
      memcpy(out + row * plan.y.stride, memory.state + row * memory.state_stride, bytes);
    }
  }
  return {plan.rows, count};
}

void plan(const Node& node, const NodeMemory& memory, const StreamShape& shape) {
  const GruParams& p = node.as<GruParams>();
  GruPlan& plan = *static_cast<GruPlan*>(memory.plan);
  const ValueBuffer& x = shape.values[node.inputs[0]];
  const ValueBuffer& y = shape.values[node.output];
  plan.params = &p;
  plan.table = shape.table;
  plan.mask = p.is_masked ? &shape.values[node.inputs[1]] : nullptr;
  plan.y = {y.data, y.stride};
  plan.batch = shape.batch;
  plan.is_fused = is_fused(p, *shape.table);
  const GruScratch at = lay_out(p, plan.is_fused, shape.batch, shape.frames);
  plan.projected = memory.scratch + at.projected;
  plan.between = memory.scratch + at.cell;
  plan.rows = reinterpret_cast<uint32_t*>(memory.scratch + at.rows);
  plan.state_product = memory.scratch + at.state_product;
  GruArgs& args = plan.whole;
  plan.cell = {as_panels(p.weight_ih), as_panels(p.weight_hh), as_panels(p.weight_hn), p.bias, p.activations};
  args.cell = &plan.cell;
  plan.x = x.data;
  args.x = {nullptr, x.stride};
  args.projected = {nullptr, projected_stride(p)};
  args.out = {nullptr, y.stride};
  args.scratch = {plan.between, projected_stride(p)};
  args.frame_rows = p.reverse ? -static_cast<ptrdiff_t>(shape.batch) : static_cast<ptrdiff_t>(shape.batch);
  plan_mixed({x.data, x.stride}, memory.scratch + at.input_product, &plan);
}

void begin(GruPlan* plan, uint32_t frames, const Rows& all) {
  if (!plan->is_fused) return begin_mixed(plan, frames, all);
  plan->whole.projected.data = nullptr;
  if (frames == 1 || !projects_blocks(*plan->params, true)) return;
  project(plan, all);
  plan->whole.projected.data = plan->projected;
}

void step(GruPlan* plan, const GruFrame& frame) {
  if (!plan->is_fused) return step_mixed(plan, frame);
  GruArgs& args = plan->whole;
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

// All frames of a block. While all rows take part, a step reads the states where the step before has written them;
// they come home when some rows are left out, and at the end.
void run(const Node&, const NodeMemory& memory, const Block& block) {
  GruPlan& plan = *static_cast<GruPlan*>(memory.plan);
  const GruParams& p = *plan.params;
  const size_t stride = plan.y.stride;
  const uint32_t hidden = p.weight_hh.rows;
  if (block.frames == 1 && !plan.mask) {
    const Rows& rows = block.in.at[0];
    begin(&plan, 1, rows);
    step(&plan, {0, memory.state, memory.state_stride, plan.y.data, &rows, 1, block.pass % 2 != 0});
    return keep(memory, plan.y.data, stride, hidden, rows);
  }
  const Rows everyone = {nullptr, plan.batch};
  float* away = nullptr;  // where the states are, if not in memory.state
  begin(&plan, block.frames, *block.in.all);
  if (!plan.mask && !block.in.all->index) {
    const size_t last = size_t{block.frames - 1} * plan.batch;
    const size_t from = p.reverse ? last : 0, to = p.reverse ? 0 : last;
    step(&plan, {from, memory.state, memory.state_stride, plan.y.data + from * stride, &everyone, block.frames,
                 block.pass % 2 != 0});
    return keep(memory, plan.y.data + to * stride, stride, hidden, everyone);
  }
  for (uint32_t i = 0; i < block.frames; ++i) {
    const uint32_t frame = p.reverse ? block.frames - 1 - i : i;
    const size_t first = size_t{frame} * plan.batch;
    float* const out = plan.y.data + first * stride;
    const Rows* rows = &block.in.at[frame];
    Rows open;
    if (plan.mask) {
      open = pass_mask(plan, memory, first, out, *rows);
      rows = &open;
    }
    if (away && rows->index) {
      keep(memory, away, stride, hidden, everyone);
      away = nullptr;
    }
    const bool backwards = (block.pass + i) % 2 != 0;
    step(&plan, {first, away ? away : memory.state, away ? stride : memory.state_stride, out, rows, 1, backwards});
    if (rows->index) {
      keep(memory, out, stride, hidden, *rows);
    } else {
      away = out;
    }
  }
  if (away) keep(memory, away, stride, hidden, everyone);
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
  const uint64_t cell = fused ? (p.weight_hn.data ? projected_stride(p) : 0)
                              : projected_stride(p) + (p.weight_hn.data ? 3 * gate_stride(p) : 0);
  GruScratch at;
  at.projected = 0;
  at.cell = !fused || (frames > 1 && projects_blocks(p, fused)) ? projected_stride(p) * rows : 0;
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
