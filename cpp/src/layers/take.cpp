// The last frame of a sequence. In a stream: the newest one, as if the sequence ended there.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

struct TakeParams {
  uint32_t features;
};

Status parse(const NodeSource& source, void* out) {
  GRUCORE_TRY(source.expect_inputs(1));
  const Value& x = source.input(0);
  const Value& y = source.result();
  if (x.rate != Rate::kFrame || y.rate != Rate::kSequence || x.dtype != y.dtype) {
    return source.refuse(Status::kBadShape, static_cast<uint64_t>(y.rate), static_cast<uint64_t>(Rate::kSequence));
  }
  if (x.features != y.features) return source.refuse(Status::kBadShape, y.features, x.features);
  uint32_t position = 0;
  GRUCORE_TRY(source.expect_attributes(1));
  GRUCORE_TRY(source.attribute(0, 0, &position));
  GRUCORE_TRY(source.expect_tensors(0));
  static_cast<TakeParams*>(out)->features = x.features;
  return Status::kOk;
}

uint32_t state_size(const void* params) { return static_cast<const TakeParams*>(params)->features; }

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  const size_t bytes = size_t{x.features} * sizeof(float);
  for (uint32_t frame = 0; frame < block.frames; ++frame) {
    const Rows& rows = block.in.at[frame];
    if (!rows.index && frame + 1 < block.frames && !block.in.at[frame + 1].index) continue;  // overwritten next
    for (uint32_t i = 0; i < rows.count; ++i) {
      const uint32_t row = row_of(rows, i);
      memcpy(memory.state + row * memory.state_stride,
                       x.data + (size_t{frame} * block.batch + row) * x.stride, bytes);
    }
  }
  for (uint32_t row = 0; row < block.batch; ++row) {
    memcpy(y.data + row * y.stride, memory.state + row * memory.state_stride, bytes);
  }
}

}  // namespace

extern const LayerKind kTakeLayer;
const LayerKind kTakeLayer = {3,          "take",  ".last", false, parse, state_size, always_streamable,
                              no_macs, no_scratch, run};

}  // namespace detail
}  // namespace grucore
