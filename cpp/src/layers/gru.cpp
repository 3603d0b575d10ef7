// The GRU layer, one direction: both cells.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

struct GruParams {
  PanelWeights weight_ih;
  PanelWeights weight_hh;
  PanelWeights weight_hn;
  const float* bias;
  const float* initial_state;
  Activation gate;
  Activation candidate;
  uint32_t bias_gates;
  bool reverse;
  bool is_masked;
  bool masked_is_zero;
};

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

Status parse_weights(const NodeSource& source, bool reset_before, GruParams* params) {
  const uint32_t inputs = source.input(0).features;
  const uint32_t hidden = source.result().features;
  const bool has_initial = source.find(Role::kInitialState) != nullptr;
  GRUCORE_TRY(source.expect_tensors((reset_before ? 4u : 3u) + (has_initial ? 1u : 0u)));
  GRUCORE_TRY(source.panels(Role::kWeightIh, 3, hidden, inputs, &params->weight_ih));
  GRUCORE_TRY(source.panels(Role::kWeightHh, reset_before ? 2 : 3, hidden, hidden, &params->weight_hh));
  if (reset_before) GRUCORE_TRY(source.panels(Role::kWeightHn, 1, hidden, hidden, &params->weight_hn));
  PanelWeights bias;
  params->bias_gates = reset_before ? 3 : 4;
  GRUCORE_TRY(source.panels(Role::kBias, params->bias_gates, hidden, 0, &bias));
  params->bias = bias.data;
  return has_initial ? source.vector(Role::kInitialState, hidden, &params->initial_state) : Status::kOk;
}

Status parse(const NodeSource& source, void* out) {
  GruParams params = {};
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
  GRUCORE_TRY(source.activation(3, kGateActivationCount, &params.gate));
  GRUCORE_TRY(source.activation(6, kGateActivationCount, &params.candidate));
  params.reverse = direction == 1;
  params.masked_is_zero = masked_output == 1;
  GRUCORE_TRY(parse_weights(source, cell == 1, &params));
  *static_cast<GruParams*>(out) = params;
  return Status::kOk;
}

uint32_t state_size(const void* params) { return of(params).weight_hh.rows; }
bool reads_future(const void* params) { return of(params).reverse; }
const float* initial_state(const void* params) { return of(params).initial_state; }

uint64_t macs(const void* params) {
  const GruParams& p = of(params);
  return 3 * uint64_t{p.weight_hh.rows} * (p.weight_ih.inputs + uint64_t{p.weight_hh.rows});
}

// Scratch: the projected inputs (of blocks of several frames), then what the reset-before cell keeps between
// its two passes, then the rows that a mask leaves.
struct Scratch {
  uint64_t projected, cell, rows, end;
};

size_t projected_stride(const GruParams& p) { return 3 * size_t{round_up(p.weight_hh.rows, kPanel)}; }

Scratch lay_out(const GruParams& p, uint32_t batch, uint32_t frames) {
  Scratch at;
  at.projected = 0;
  at.cell = frames > 1 ? projected_stride(p) * uint64_t{batch} * frames : 0;
  at.rows = at.cell + (p.weight_hn.data ? projected_stride(p) * uint64_t{batch} : 0);
  at.end = at.rows + (p.is_masked ? batch : 0);
  return at;
}

uint64_t scratch_floats(const void* params, uint32_t batch, uint32_t frames) {
  return lay_out(of(params), batch, frames).end;
}

// h = the new state, for the rows that took part.
void keep(const NodeMemory& memory, const Matrix& out, uint32_t hidden, const Rows& rows) {
  for (uint32_t i = 0; i < rows.count; ++i) {
    const uint32_t row = row_of(rows, i);
    memcpy(memory.state + row * memory.state_stride, out.data + row * out.stride,
           round_up(hidden, kPanel) * sizeof(float));
  }
}

// The rows of one frame that the mask lets through; the others get their outputs here.
Rows pass_mask(const GruParams& p, const NodeMemory& memory, const float* mask, size_t mask_stride, const Matrix& out,
               const Rows& rows, uint32_t* list) {
  uint32_t count = 0;
  const size_t bytes = size_t{p.weight_hh.rows} * sizeof(float);
  for (uint32_t i = 0; i < rows.count; ++i) {
    const uint32_t row = row_of(rows, i);
    uint32_t open;
    memcpy(&open, mask + row * mask_stride, sizeof open);
    if (open) {
      list[count++] = row;
    } else if (p.masked_is_zero) {
      memset(out.data + row * out.stride, 0, bytes);
    } else {
      memcpy(out.data + row * out.stride, memory.state + row * memory.state_stride, bytes);
    }
  }
  return {list, count};
}

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const GruParams& p = node.as<GruParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  const Scratch at = lay_out(p, block.batch, block.frames);
  const size_t stride = projected_stride(p);
  const bool several = block.frames > 1;
  GruArgs args = {};
  args.weight_ih = p.weight_ih;
  args.weight_hh = p.weight_hh;
  args.weight_hn = p.weight_hn;
  args.bias = p.bias;
  args.gate = p.gate;
  args.candidate = p.candidate;
  args.is_standard = p.gate.code == ActivationCode::kSigmoid && p.candidate.code == ActivationCode::kTanh;
  args.h = {memory.state, memory.state_stride};
  args.scratch = {memory.scratch + at.cell, stride};
  if (several) {
    const Activation none = {ActivationCode::kLinear, 0, 0};
    block.table->matmul(
        {p.weight_ih, p.bias, p.bias_gates, none, {x.data, x.stride}, {memory.scratch, stride}, block.in.all});
  }
  for (uint32_t i = 0; i < block.frames; ++i) {
    const uint32_t frame = p.reverse ? block.frames - 1 - i : i;
    const size_t first = size_t{frame} * block.batch;
    if (several) {
      args.projected = {memory.scratch + first * stride, stride};
    } else {
      args.x = {x.data, x.stride};
    }
    args.out = {y.data + first * y.stride, y.stride};
    args.rows = block.in.at[frame];
    if (p.is_masked) {
      const ValueBuffer& mask = block.values[node.inputs[1]];
      args.rows = pass_mask(p, memory, mask.data + first * mask.stride, mask.stride, args.out, args.rows,
                            reinterpret_cast<uint32_t*>(memory.scratch + at.rows));
    }
    block.table->gru_step(args);
    keep(memory, args.out, p.weight_hh.rows, args.rows);
  }
}

constexpr LayerKind make() {
  LayerKind kind = {1, "gru", parse, run};
  kind.reads_future = reads_future;
  kind.macs = macs;
  kind.state_size = state_size;
  kind.initial_state = initial_state;
  kind.scratch_floats = scratch_floats;
  kind.state_suffix = ".h";
  kind.state_is_public = true;
  return kind;
}

}  // namespace

extern const LayerKind kGruLayer;
const LayerKind kGruLayer = make();

}  // namespace detail
}  // namespace grucore
