// The GRU with weights of any dtype, each matrix of its own: products that continue the chains in memory, and the
// cell. Float32 weights have a kernel that keeps the chains in registers.
// SPDX-License-Identifier: Apache-2.0
#include "layers/gru.h"

namespace grucore {
namespace detail {

namespace {

constexpr float kLeastStateRange = 1.0f;

Product input_product(const GruParams& p, const GruFrame& frame) {
  return {p.weight_ih, frame.x, p.input_range, 0.0f, frame.projected, frame.rows, frame.input_product, frame.backwards};
}
Product state_product(const GruFrame& frame, const PackedWeights& weights, const ConstMatrix& h, const Matrix& y) {
  return {weights, h, 0.0f, kLeastStateRange, y, frame.rows, frame.state_product, frame.backwards};
}

GateSource projected_gate(const GruFrame& frame, uint32_t gate) {
  return {frame.projected.data, frame.projected.stride, 3, gate};
}

CellArgs cell_args(const GruParams& p, const GruFrame& frame) {
  CellArgs args = {};
  args.gate = p.gate;
  args.candidate = p.candidate;
  args.is_standard = is_standard(p);
  args.units = p.weight_hh.rows;
  args.sums = {frame.cell, projected_stride(p)};
  args.h = frame.h;
  args.out = frame.out;
  args.rows = frame.rows;
  return args;
}

void step_reset_after(const GruParams& p, const KernelTable& table, const GruFrame& frame) {
  PanelStepArgs args;
  args.cell = cell_args(p, frame);
  args.cell.input_n = projected_gate(frame, 2);
  args.bias = p.bias;
  args.backwards = frame.backwards;
  args.input = {};
  args.input.y = frame.projected;
  if (!frame.is_projected) args.input = prepare(table, input_product(p, frame));
  args.recurrent = prepare(table, state_product(frame, p.weight_hh, frame.h, args.cell.sums));
  if (is_integer(p.weight_hh.kind)) {
    table.integers->panel_step(args);
  } else {
    table.floats->panel_step(args);
  }
}

void step_reset_before(const GruParams& p, const KernelTable& table, const GruFrame& frame) {
  CellArgs args = cell_args(p, frame);
  const size_t stride = gate_stride(p), part = size_t{frame.batch} * stride;
  float* const after_sums = frame.cell + size_t{frame.batch} * projected_stride(p);
  const Matrix gated = {after_sums, stride}, candidate = {after_sums + part, stride};
  args.update = {after_sums + 2 * part, stride};
  table.floats->gather(
      {{projected_gate(frame, 0), projected_gate(frame, 1), {}}, 2, args.units, args.sums, frame.rows});
  multiply(table, state_product(frame, p.weight_hh, frame.h, args.sums));
  args.out = gated;
  table.floats->cell_reset(args);
  table.floats->gather({{projected_gate(frame, 2), {}, {}}, 1, args.units, candidate, frame.rows});
  multiply(table, state_product(frame, p.weight_hn, {gated.data, gated.stride}, candidate));
  args.input_n = {candidate.data, candidate.stride, 1, 0};
  args.out = frame.out;
  table.floats->cell_candidate(args);
}

}  // namespace

void project(const GruParams& p, const KernelTable& table, const GruFrame& block) {
  const auto bias = [&](uint32_t gate) { return GateSource{p.bias, 0, p.bias_gates, gate}; };
  table.floats->gather({{bias(0), bias(1), bias(2)}, 3, p.weight_hh.rows, block.projected, block.rows});
  multiply(table, input_product(p, block));
}

void step_mixed(const GruParams& p, const KernelTable& table, const GruFrame& frame) {
  if (p.weight_hn.data) {
    step_reset_before(p, table, frame);
  } else {
    step_reset_after(p, table, frame);
  }
}

}  // namespace detail
}  // namespace grucore
