// Arg max: the place of the largest feature, as an id.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

struct ArgMaxParams {};

Status parse(const NodeSource& source, void* out) {
  new_params<ArgMaxParams>(out);
  GRUCORE_TRY(source.expect_inputs(1));
  const Value& x = source.input(0);
  const Value& y = source.result();
  GRUCORE_TRY(source.expect_float32(x));
  if (y.dtype != Dtype::kInt32) return source.refuse(Status::kBadShape, static_cast<size_t>(y.dtype), 1);
  if (x.rate != y.rate || x.period != y.period || x.skip != y.skip)
    return source.refuse(Status::kBadShape, y.skip, x.skip);
  if (x.features % y.features) return source.refuse(Status::kBadShape, y.features, x.features);
  GRUCORE_TRY(source.expect_attributes(1));
  if (source.attributes[0] != y.features)
    return source.reader.refuse(Status::kBadAttribute, source.attribute_offset, source.attributes[0], y.features);
  return source.expect_tensors(0);
}

// The first of equal ones; a NaN is larger than any number.
int32_t largest(const float* x, uint32_t count) {
  uint32_t best = 0;
  for (uint32_t i = 1; i < count && x[best] == x[best]; ++i) {
    if (x[i] > x[best] || x[i] != x[i]) best = i;
  }
  return static_cast<int32_t>(best);
}

void run(const Node& node, const NodeMemory&, const Block& block) {
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  const uint32_t size = x.features / y.features;
  for (uint32_t i = 0; i < block.in.all->count; ++i) {
    const size_t row = row_of(*block.in.all, i);
    for (uint32_t group = 0; group < y.features; ++group) {
      const int32_t id = largest(x.data + row * x.stride + size_t{group} * size, size);
      memcpy(y.data + row * y.stride + group, &id, sizeof id);
    }
  }
}

}  // namespace

extern const LayerKind kArgMaxLayer;
const LayerKind kArgMaxLayer = {26, "arg_max", parse, run};

}  // namespace detail
}  // namespace grucore
