// The last frame of a sequence, or the first. In a stream the last one is the newest, as if the sequence
// ended there.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

struct TakeParams {
  uint32_t features;
  bool first;
};

const TakeParams& of(const void* params) { return *static_cast<const TakeParams*>(params); }

Status parse(const NodeSource& source, void* out) {
  GRUCORE_TRY(source.expect_inputs(1));
  const Value& x = source.input(0);
  const Value& y = source.result();
  if (x.rate == Rate::kSequence || y.rate != Rate::kSequence || x.dtype != y.dtype) {
    return source.refuse(Status::kBadShape, static_cast<size_t>(y.rate), static_cast<size_t>(Rate::kSequence));
  }
  if (x.features != y.features) return source.refuse(Status::kBadShape, y.features, x.features);
  uint32_t position = 0;
  GRUCORE_TRY(source.expect_attributes(1));
  GRUCORE_TRY(source.attribute(0, 1, &position));
  GRUCORE_TRY(source.expect_tensors(0));
  *static_cast<TakeParams*>(out) = {x.features, position == 1};
  return Status::kOk;
}

// The frame, then whether there was one.
uint32_t states(const void* params, StateSpec* out) {
  *out = {".frame", 0, of(params).features + 1, false, nullptr};
  return 1;
}

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const TakeParams& p = node.as<TakeParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  const size_t bytes = size_t{p.features} * sizeof(float);
  for (uint32_t frame = 0; frame < block.frames; ++frame) {
    const Rows& rows = block.in.at[frame];
    const bool overwritten = frame + 1 < block.frames && !rows.index && !block.in.at[frame + 1].index;
    if (overwritten && !p.first) continue;
    for (uint32_t i = 0; i < rows.count; ++i) {
      const uint32_t row = row_of(rows, i);
      float* state = memory.state + row * memory.state_stride;
      if (p.first && state[p.features] != 0.0f) continue;
      memcpy(state, x.data + (size_t{frame} * block.batch + row) * x.stride, bytes);
      state[p.features] = 1.0f;
    }
  }
  for (uint32_t row = 0; row < block.batch; ++row) {
    memcpy(y.data + row * y.stride, memory.state + row * memory.state_stride, bytes);
  }
}

constexpr LayerKind make() {
  LayerKind kind = {3, "take", parse, run};
  kind.states = states;
  kind.hands_on_ids = true;
  return kind;
}

}  // namespace

extern const LayerKind kTakeLayer;
const LayerKind kTakeLayer = make();

}  // namespace detail
}  // namespace grucore
