// The shared part of recurrent layers.
// SPDX-License-Identifier: Apache-2.0
#include "layers/recurrent.h"

namespace grucore {
namespace detail {

namespace {

Status parse_mask(const NodeSource& source) {
  const Value& x = source.input(0);
  const Value& mask = source.input(1);
  if (mask.dtype != Dtype::kInt32 || mask.features != 1) return source.refuse(Status::kBadShape, mask.features, 1);
  if (mask.rate != x.rate || mask.period != x.period || mask.skip != x.skip) {
    return source.refuse(Status::kBadShape, mask.skip, x.skip);
  }
  return Status::kOk;
}

}  // namespace

Status parse_recurrent_values(const NodeSource& source, RecurrentParams* params) {
  params->is_masked = source.input_count == 2;
  if (!params->is_masked) GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  GRUCORE_TRY(source.expect_same_clock(0));
  if (source.input(0).rate == Rate::kSequence) return source.refuse(Status::kBadShape, 2, 0);
  return params->is_masked ? parse_mask(source) : Status::kOk;
}

Status parse_direction(const NodeSource& source, uint32_t first, RecurrentParams* params) {
  uint32_t direction = 0, masked_output = 0;
  GRUCORE_TRY(source.attribute(first, 1, &direction));
  GRUCORE_TRY(source.attribute(first + 1, params->is_masked ? 1 : 0, &masked_output));
  params->reverse = direction == 1;
  params->masked_is_zero = masked_output == 1;
  return Status::kOk;
}

Status parse_recurrent_weights(const NodeSource& source, uint32_t gates, uint32_t state_gates, RecurrentParams* params,
                               uint32_t* tensors) {
  const uint32_t inputs = source.input(0).features;
  const uint32_t hidden = source.result().features;
  GRUCORE_TRY(parse_weights(source, {Role::kWeightIh, Role::kWeightIhScale}, {gates, hidden, inputs},
                            &params->weight_ih, tensors));
  GRUCORE_TRY(parse_weights(source, {Role::kWeightHh, Role::kWeightHhScale}, {state_gates, hidden, hidden},
                            &params->weight_hh, tensors));
  GRUCORE_TRY(parse_input_range(source, params->weight_ih, &params->input_range, tensors));
  params->is_float32 = is_float32(params->weight_ih) && is_float32(params->weight_hh);
  if (!source.find(Role::kInitialState)) return Status::kOk;
  ++*tensors;
  return source.vector(Role::kInitialState, hidden, &params->initial_state);
}

void set_product(const PackedWeights& weights, float* scratch, ProductArgs* args) {
  args->weights = &weights;
  args->bias = nullptr;
  args->bias_gates = 0;
  args->range = 0.0f;
  args->least = kLeastStateRange;
  args->quantized = {reinterpret_cast<unsigned char*>(scratch), quantized_stride(weights)};
  args->backwards = false;
  args->overwrites = false;
}

void set_plan(const Node& node, const RecurrentParams& params, const StreamShape& shape, RecurrentPlan* plan) {
  const ValueBuffer& y = shape.values[node.output];
  plan->params = &params;
  plan->table = shape.table;
  plan->mask = params.is_masked ? &shape.values[node.inputs[1]] : nullptr;
  plan->x = shape.values[node.inputs[0]].data;
  plan->y = {y.data, y.stride};
  plan->batch = shape.batch;
}

Rows pass_mask(const RecurrentPlan& plan, const NodeMemory& memory, size_t first, float* out, const Rows& rows) {
  const RecurrentParams& p = *plan.params;
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

}  // namespace detail
}  // namespace grucore
