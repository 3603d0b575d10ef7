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
  PanelWeights bias;
  bool reset_before;
  bool reverse;
};

const GruParams& of(const void* params) { return *static_cast<const GruParams*>(params); }

Status parse(const NodeSource& source, void* out) {
  GruParams params = {};
  GRUCORE_TRY(source.expect_inputs(1));
  const Value& x = source.input(0);
  const Value& y = source.result();
  if (x.dtype != Dtype::kFloat32 || y.dtype != Dtype::kFloat32) return source.refuse(Status::kBadShape, 1, 0);
  if (x.rate != Rate::kFrame || y.rate != Rate::kFrame) return source.refuse(Status::kBadShape, 2, 0);
  GRUCORE_TRY(source.expect_attributes(4));
  uint32_t cell = 0, direction = 0;
  GRUCORE_TRY(source.attribute(0, 1, &cell));
  GRUCORE_TRY(source.attribute(1, 1, &direction));
  GRUCORE_TRY(source.expect_attribute(2, static_cast<uint32_t>(Activation::kSigmoid)));
  GRUCORE_TRY(source.expect_attribute(3, static_cast<uint32_t>(Activation::kTanh)));
  params.reset_before = cell == 1;
  params.reverse = direction == 1;
  const uint32_t hidden = y.features;
  GRUCORE_TRY(source.expect_tensors(params.reset_before ? 4 : 3));
  GRUCORE_TRY(source.panels(Role::kWeightIh, 3, hidden, x.features, &params.weight_ih));
  GRUCORE_TRY(source.panels(Role::kWeightHh, params.reset_before ? 2 : 3, hidden, hidden, &params.weight_hh));
  if (params.reset_before) GRUCORE_TRY(source.panels(Role::kWeightHn, 1, hidden, hidden, &params.weight_hn));
  GRUCORE_TRY(source.panels(Role::kBias, params.reset_before ? 3 : 4, hidden, 0, &params.bias));
  *static_cast<GruParams*>(out) = params;
  return Status::kOk;
}

uint32_t state_size(const void* params) { return of(params).weight_hh.rows; }
bool streamable(const void* params) { return !of(params).reverse; }

uint64_t macs(const void* params) {
  const GruParams& p = of(params);
  return 3 * uint64_t{p.weight_hh.rows} * (p.weight_ih.inputs + uint64_t{p.weight_hh.rows});
}

// First the projected inputs (of blocks of several frames), then the cell's own scratch.
size_t projected_stride(const GruParams& p) { return 3 * size_t{round_up(p.weight_hh.rows, kPanel)}; }
uint64_t projected_floats(const GruParams& p, uint32_t batch, uint32_t frames) {
  return frames > 1 ? projected_stride(p) * uint64_t{batch} * frames : 0;
}
uint64_t scratch_floats(const void* params, uint32_t batch, uint32_t frames) {
  const GruParams& p = of(params);
  const uint64_t cell = p.reset_before ? 3 * uint64_t{round_up(p.weight_hh.rows, kPanel)} * batch : 0;
  return projected_floats(p, batch, frames) + cell;
}

// h = the new state, for the rows that took part.
void keep(const NodeMemory& memory, const float* out, size_t out_stride, uint32_t hidden, const Rows& rows) {
  for (uint32_t i = 0; i < rows.count; ++i) {
    const uint32_t row = row_of(rows, i);
    memcpy(memory.state + row * memory.state_stride, out + row * out_stride,
                     round_up(hidden, kPanel) * sizeof(float));
  }
}

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const GruParams& p = node.as<GruParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  const size_t hidden = round_up(p.weight_hh.rows, kPanel);
  GruArgs args = {};
  args.weight_ih = p.weight_ih;
  args.weight_hh = p.weight_hh;
  args.weight_hn = p.weight_hn;
  args.bias = p.bias.data;
  args.h = {memory.state, memory.state_stride};
  args.scratch = {memory.scratch + projected_floats(p, block.batch, block.frames), 3 * hidden};
  const bool several = block.frames > 1;
  const size_t stride = projected_stride(p);
  if (several) {
    block.table->matmul({p.weight_ih, p.bias.data, p.bias.gates, Activation::kLinear, {x.data, x.stride},
                         {memory.scratch, stride}, block.rows});
  }
  for (uint32_t i = 0; i < block.frames; ++i) {
    const uint32_t frame = p.reverse ? block.frames - 1 - i : i;
    const size_t first = size_t{frame} * block.batch;
    args.rows = block.rows_at[frame];
    if (several) {
      args.projected = {memory.scratch + first * stride, stride};
    } else {
      args.x = {x.data, x.stride};
    }
    args.out = {y.data + first * y.stride, y.stride};
    block.table->gru_step(args);
    keep(memory, args.out.data, y.stride, p.weight_hh.rows, args.rows);
  }
}

}  // namespace

extern const LayerKind kGruLayer;
const LayerKind kGruLayer = {1, "gru", ".h", true, parse, state_size, streamable, macs, scratch_floats, run};

}  // namespace detail
}  // namespace grucore
