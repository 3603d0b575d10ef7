// Mean or maximum over time. In a stream: over the frames so far.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

struct PoolParams {
  uint32_t features;
  bool maximum;
  bool is_masked;
};

const PoolParams& of(const void* params) { return *static_cast<const PoolParams*>(params); }

Status parse(const NodeSource& source, void* out) {
  const bool is_masked = source.input_count == 2;
  if (!is_masked) GRUCORE_TRY(source.expect_inputs(1));
  const Value& x = source.input(0);
  const Value& y = source.result();
  GRUCORE_TRY(source.expect_float32(x));
  GRUCORE_TRY(source.expect_float32(y));
  if (x.rate == Rate::kSequence || y.rate != Rate::kSequence) return source.refuse(Status::kBadShape, 2, 0);
  if (x.features != y.features) return source.refuse(Status::kBadShape, y.features, x.features);
  if (is_masked) {
    const Value& mask = source.input(1);
    if (mask.dtype != Dtype::kInt32 || mask.features != 1 || mask.period != x.period || mask.skip != x.skip ||
        mask.rate != x.rate) {
      return source.refuse(Status::kBadShape, mask.features, 1);
    }
  }
  uint32_t op = 0;
  GRUCORE_TRY(source.expect_attributes(1));
  GRUCORE_TRY(source.attribute(0, 1, &op));
  GRUCORE_TRY(source.expect_tensors(0));
  *static_cast<PoolParams*>(out) = {x.features, op == 1, is_masked};
  return Status::kOk;
}

// Sum or maximum so far, then the number of frames: an integer in a float's place.
uint32_t states(const void* params, StateSpec* out) {
  *out = {".frames", 0, of(params).features + 1, false, nullptr};
  return 1;
}

void take_frame(const PoolParams& p, const FloatKernels& table, float* state, const float* x) {
  uint32_t count;
  memcpy(&count, state + p.features, sizeof count);
  if (p.maximum && count > 0) {
    for (uint32_t f = 0; f < p.features; ++f) state[f] = x[f] > state[f] || x[f] != x[f] ? x[f] : state[f];
  } else if (p.maximum) {
    memcpy(state, x, size_t{p.features} * sizeof(float));
  } else {
    table.binary(BinaryOp::kAdd, state, state, x, p.features);
  }
  count += count < 0xffffffffu ? 1 : 0;
  memcpy(state + p.features, &count, sizeof count);
}

void give(const PoolParams& p, float* y, const float* state) {
  uint32_t count;
  memcpy(&count, state + p.features, sizeof count);
  if (p.maximum) {
    memcpy(y, state, size_t{p.features} * sizeof(float));
  } else {
    divide(y, state, count ? static_cast<float>(count) : 1.0f, p.features);
  }
}

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const PoolParams& p = node.as<PoolParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  for (uint32_t frame = 0; frame < block.frames; ++frame) {
    const Rows& rows = block.in.at[frame];
    for (uint32_t i = 0; i < rows.count; ++i) {
      const uint32_t row = row_of(rows, i);
      const size_t at = size_t{frame} * block.batch + row;
      if (p.is_masked) {
        const ValueBuffer& mask = block.values[node.inputs[1]];
        uint32_t open;
        memcpy(&open, mask.data + at * mask.stride, sizeof open);
        if (!open) continue;
      }
      take_frame(p, *block.table->floats, memory.state + row * memory.state_stride, x.data + at * x.stride);
    }
  }
  for (uint32_t row = 0; row < block.batch; ++row) {
    give(p, y.data + row * y.stride, memory.state + row * memory.state_stride);
  }
}

constexpr LayerKind make() {
  LayerKind kind = {12, "pool", parse, run};
  kind.states = states;
  return kind;
}

}  // namespace

extern const LayerKind kPoolLayer;
const LayerKind kPoolLayer = make();

}  // namespace detail
}  // namespace grucore
