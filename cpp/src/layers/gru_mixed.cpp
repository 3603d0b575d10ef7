// The GRU with weights of any dtype, each matrix of its own: products that continue the chains in memory, then
// the cell. Float32 weights have a kernel that keeps the chains in registers.
// SPDX-License-Identifier: Apache-2.0
#include "layers/gru.h"

namespace grucore {
namespace detail {

void project(const GruParams& p, const KernelTable& table, const ConstMatrix& x, const Matrix& projected,
             const Rows& rows, float* product_scratch) {
  const auto bias = [&](uint32_t gate) { return GateSource{p.bias, 0, p.bias_gates, gate}; };
  table.floats->gather({{bias(0), bias(1), bias(2)}, 3, p.weight_hh.rows, projected, rows});
  multiply(table, {p.weight_ih, x, p.input_range, 0.0f, projected, rows, product_scratch});
}

void step_mixed(const GruParams& p, const KernelTable& table, const GruFrame& frame, uint32_t batch, float* cell,
                float* product_scratch) {
  constexpr float kLeastStateRange = 1.0f;
  const uint32_t units = p.weight_hh.rows;
  const auto projected = [&](uint32_t gate) {
    return GateSource{frame.projected.data, frame.projected.stride, 3, gate};
  };
  const Matrix sums = {cell, projected_stride(p)};
  CellArgs args = {};
  args.gate = p.gate;
  args.candidate = p.candidate;
  args.is_standard = is_standard(p);
  args.units = units;
  args.sums = sums;
  args.h = frame.h;
  args.rows = frame.rows;
  if (!p.weight_hn.data) {
    const GateSource recurrent_bias = {p.bias, 0, p.bias_gates, 3};
    table.floats->gather({{projected(0), projected(1), recurrent_bias}, 3, units, sums, frame.rows});
    multiply(table, {p.weight_hh, frame.h, 0.0f, kLeastStateRange, sums, frame.rows, product_scratch});
    args.input_n = projected(2);
    args.out = frame.out;
    table.floats->cell_reset_after(args);
    return;
  }
  const size_t stride = gate_stride(p);
  float* const after_sums = cell + size_t{batch} * projected_stride(p);
  const Matrix gated = {after_sums, stride};
  const Matrix candidate = {after_sums + size_t{batch} * stride, stride};
  args.update = {after_sums + 2 * size_t{batch} * stride, stride};
  table.floats->gather({{projected(0), projected(1), {}}, 2, units, sums, frame.rows});
  multiply(table, {p.weight_hh, frame.h, 0.0f, kLeastStateRange, sums, frame.rows, product_scratch});
  args.out = gated;
  table.floats->cell_reset(args);
  table.floats->gather({{projected(2), {}, {}}, 1, units, candidate, frame.rows});
  const ConstMatrix gated_state = {gated.data, gated.stride};
  multiply(table, {p.weight_hn, gated_state, 0.0f, kLeastStateRange, candidate, frame.rows, product_scratch});
  args.input_n = {candidate.data, candidate.stride, 1, 0};
  args.out = frame.out;
  table.floats->cell_candidate(args);
}

}  // namespace detail
}  // namespace grucore
