// A value of the whole sequence at every frame: known when the sequence has ended, so that it never streams.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

Status parse(const NodeSource& source, void*) {
  GRUCORE_TRY(source.expect_inputs(2));
  GRUCORE_TRY(source.expect_float32(source.input(1)));
  GRUCORE_TRY(source.expect_float32(source.result()));
  const Value& clock = source.input(0);
  const Value& x = source.input(1);
  const Value& y = source.result();
  if (clock.rate == Rate::kSequence || x.rate != Rate::kSequence) return source.refuse(Status::kBadShape, 2, 0);
  if (y.rate != clock.rate || y.period != clock.period || y.skip != clock.skip) {
    return source.refuse(Status::kBadShape, y.period, clock.period);
  }
  if (x.features != y.features) return source.refuse(Status::kBadShape, y.features, x.features);
  GRUCORE_TRY(source.expect_attributes(0));
  return source.expect_tensors(0);
}

bool reads_future(const void*) { return true; }

void run(const Node& node, const NodeMemory&, const Block& block) {
  const ValueBuffer& x = block.values[node.inputs[1]];
  const ValueBuffer& y = block.values[node.output];
  for (uint32_t frame = 0; frame < block.frames; ++frame) {
    const Rows& rows = block.out.at[frame];
    for (uint32_t i = 0; i < rows.count; ++i) {
      const size_t row = row_of(rows, i), place = size_t{frame} * block.batch + row;
      memcpy(y.data + place * y.stride, x.data + row * x.stride, size_t{x.features} * sizeof(float));
    }
  }
}

constexpr LayerKind make() {
  LayerKind kind = {27, "expand", parse, run};
  kind.reads_future = reads_future;
  return kind;
}

}  // namespace

extern const LayerKind kExpandLayer;
const LayerKind kExpandLayer = make();

}  // namespace detail
}  // namespace grucore
