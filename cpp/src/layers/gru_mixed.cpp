// The GRU with weights of any dtype.
// SPDX-License-Identifier: Apache-2.0
#include "layers/gru.h"

namespace grucore {
namespace detail {

namespace {

constexpr float kLeastStateRange = 1.0f;

GateSource projected_gate(const Matrix& projected, uint32_t gate) {
  return {projected.data, projected.stride, 3, gate};
}

// Where the products stand and what they take; x and rows are for the caller.
void set_product(const PackedWeights& weights, float* scratch, ProductArgs* args) {
  args->weights = &weights;
  args->bias = nullptr;
  args->bias_gates = 0;
  args->range = 0.0f;
  args->least = kLeastStateRange;
  args->quantized.data = reinterpret_cast<unsigned char*>(scratch);
  args->quantized.stride = quantized_stride(weights);
  args->backwards = false;
  args->overwrites = false;
}
void set_input_product(const GruBlock& block, float* y, ProductArgs* args) {
  set_product(block.p.weight_ih, block.scratch + block.at.input_product, args);
  args->bias = block.p.cell.bias;
  args->bias_gates = block.p.bias_gates;
  args->range = block.p.input_range;
  args->least = 0.0f;
  args->x.data = block.x.data;
  args->x.stride = block.x.stride;
  args->y.data = y;
  args->y.stride = projected_stride(block.p);
}

}  // namespace

void project(const GruBlock& block) {
  ProductArgs args;
  set_input_product(block, block.scratch + block.at.projected, &args);
  args.rows = *block.all;
  multiply(block.table, args);
}

MixedSteps::MixedSteps(const GruBlock& block)
    : block_(block),
      projected_(block.scratch + block.at.projected),
      is_integer_(is_integer(block.p.weight_hh.kind)) {
  const GruParams& p = block.p;
  const bool has_input = block.frames == 1 && projects_in_step(p);
  if (!has_input) project(block);
  set_input_product(block, projected_, &args_.input);
  if (!has_input) args_.input.weights = nullptr;
  set_product(p.weight_hh, block.scratch + block.at.state_product, &args_.recurrent);
  args_.recurrent.overwrites = is_integer_;
  args_.recurrent.y.data = block.scratch + block.at.cell;
  args_.recurrent.y.stride = projected_stride(p);
  args_.bias = p.cell.bias;
  args_.cell.activations = p.cell.activations;
  args_.cell.units = p.weight_hh.rows;
  args_.cell.sums.data = args_.recurrent.y.data;
  args_.cell.sums.stride = args_.recurrent.y.stride;
  args_.cell.out.stride = block.y.stride;
}

void MixedSteps::step(const GruFrame& frame) {
  args_.input.y.data = projected_ + frame.row * args_.input.y.stride;
  args_.cell.h.data = frame.h;
  args_.cell.h.stride = frame.h_stride;
  if (block_.p.weight_hn.data) return step_reset_before(frame);
  args_.input.rows.index = frame.rows->index;
  args_.input.rows.count = frame.rows->count;
  args_.recurrent.x.data = frame.h;
  args_.recurrent.x.stride = frame.h_stride;
  args_.recurrent.rows.index = frame.rows->index;
  args_.recurrent.rows.count = frame.rows->count;
  args_.cell.out.data = frame.out;
  args_.cell.rows.index = frame.rows->index;
  args_.cell.rows.count = frame.rows->count;
  args_.backwards = frame.backwards;
  if (is_integer_) {
    block_.table.integers->panel_step(args_);
  } else {
    block_.table.floats->panel_step(args_);
  }
}

void MixedSteps::step_reset_before(const GruFrame& frame) {
  const GruParams& p = block_.p;
  const KernelTable& table = block_.table;
  const Rows& rows = *frame.rows;
  const size_t stride = gate_stride(p), part = size_t{block_.batch} * stride;
  float* const after_sums = args_.cell.sums.data + size_t{block_.batch} * projected_stride(p);
  const Matrix projected = {args_.input.y.data, args_.input.y.stride};
  const Matrix gated = {after_sums, stride}, candidate = {after_sums + part, stride};
  CellArgs& cell = args_.cell;
  cell.update = {after_sums + 2 * part, stride};
  cell.rows = rows;
  table.floats->gather({{projected_gate(projected, 0), projected_gate(projected, 1), {}}, 2, cell.units, cell.sums, rows});
  multiply_states(p.weight_hh, cell.h, cell.sums, rows);
  cell.out = gated;
  table.floats->cell_reset(cell);
  table.floats->gather({{projected_gate(projected, 2), {}, {}}, 1, cell.units, candidate, rows});
  multiply_states(p.weight_hn, {gated.data, gated.stride}, candidate, rows);
  cell.input_n = {candidate.data, candidate.stride, 1, 0};
  cell.out = {frame.out, block_.y.stride};
  table.floats->cell_candidate(cell);
}

void MixedSteps::multiply_states(const PackedWeights& weights, const ConstMatrix& x, const Matrix& y, const Rows& rows) {
  ProductArgs args;
  set_product(weights, block_.scratch + block_.at.state_product, &args);
  args.x = x;
  args.y = y;
  args.rows = rows;
  multiply(block_.table, args);
}

}  // namespace detail
}  // namespace grucore
