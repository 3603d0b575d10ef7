// Values side by side.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

Status parse(const NodeSource& source, void*) {
  if (source.input_count < 2) return source.refuse(Status::kBadShape, source.input_count, 2);
  uint64_t features = 0;
  for (uint32_t i = 0; i < source.input_count; ++i) {
    GRUCORE_TRY(source.expect_same_clock(i));
    features += source.input(i).features;
  }
  if (features != source.result().features)
    return source.refuse_wide(Status::kBadShape, source.result().features, features);
  GRUCORE_TRY(source.expect_attributes(0));
  return source.expect_tensors(0);
}

void run(const Node& node, const NodeMemory&, const Block& block) {
  const ValueBuffer& y = block.values[node.output];
  size_t column = 0;
  for (uint32_t i = 0; i < node.input_count; ++i) {
    const ValueBuffer& x = block.values[node.inputs[i]];
    const size_t bytes = size_t{x.features} * sizeof(float);
    for (uint32_t r = 0; r < block.in.all->count; ++r) {
      const size_t row = row_of(*block.in.all, r);
      memcpy(y.data + row * y.stride + column, x.data + row * x.stride, bytes);
    }
    column += x.features;
  }
}

constexpr LayerKind make() {
  LayerKind kind = {4, "concat", parse, run};
  kind.hands_on_ids = true;
  return kind;
}

}  // namespace

extern const LayerKind kConcatLayer;
const LayerKind kConcatLayer = make();

}  // namespace detail
}  // namespace grucore
