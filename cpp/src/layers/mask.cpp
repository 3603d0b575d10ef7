// Which frames count: those that are not all one value.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

struct MaskParams {
  uint32_t bits;
  bool is_float;
};

Status parse(const NodeSource& source, void* out) {
  GRUCORE_TRY(source.expect_inputs(1));
  const Value& x = source.input(0);
  const Value& y = source.result();
  if (y.dtype != Dtype::kInt32 || y.features != 1) return source.refuse(Status::kBadShape, y.features, 1);
  if (x.rate != y.rate || x.period != y.period || x.skip != y.skip)
    return source.refuse(Status::kBadShape, y.skip, x.skip);
  GRUCORE_TRY(source.expect_attributes(1));
  GRUCORE_TRY(source.expect_tensors(0));
  *static_cast<MaskParams*>(out) = {source.attributes[0], x.dtype == Dtype::kFloat32};
  return Status::kOk;
}

bool differs(const MaskParams& p, const float* row, uint32_t features) {
  for (uint32_t f = 0; f < features; ++f) {
    if (p.is_float) {
      float value;
      memcpy(&value, &p.bits, sizeof value);
      if (row[f] != value) return true;
    } else {
      uint32_t word;
      memcpy(&word, row + f, sizeof word);
      if (word != p.bits) return true;
    }
  }
  return false;
}

void run(const Node& node, const NodeMemory&, const Block& block) {
  const MaskParams& p = node.as<MaskParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  for (uint32_t i = 0; i < block.in.all->count; ++i) {
    const size_t row = row_of(*block.in.all, i);
    const uint32_t open = differs(p, x.data + row * x.stride, x.features) ? 1 : 0;
    memcpy(y.data + row * y.stride, &open, sizeof open);
  }
}

}  // namespace

extern const LayerKind kMaskLayer;
const LayerKind kMaskLayer = {13, "mask", parse, run};

}  // namespace detail
}  // namespace grucore
