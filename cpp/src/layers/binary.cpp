// Two values into one, element by element.
// SPDX-License-Identifier: Apache-2.0
#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

struct BinaryParams {
  BinaryOp op;
};

Status parse(const NodeSource& source, void* out) {
  GRUCORE_TRY(source.expect_inputs(2));
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  const uint32_t features = source.result().features;
  for (uint32_t i = 0; i < 2; ++i) {
    GRUCORE_TRY(source.expect_same_clock(i));
    if (source.input(i).features != features)
      return source.refuse(Status::kBadShape, source.input(i).features, features);
  }
  GRUCORE_TRY(source.expect_attributes(1));
  uint32_t op = 0;
  GRUCORE_TRY(source.attribute(0, kBinaryOpCount - 1, &op));
  GRUCORE_TRY(source.expect_tensors(0));
  static_cast<BinaryParams*>(out)->op = static_cast<BinaryOp>(op);
  return Status::kOk;
}

void run(const Node& node, const NodeMemory&, const Block& block) {
  const BinaryParams& p = node.as<BinaryParams>();
  const ValueBuffer& a = block.values[node.inputs[0]];
  const ValueBuffer& b = block.values[node.inputs[1]];
  const ValueBuffer& y = block.values[node.output];
  for (uint32_t i = 0; i < block.in.all->count; ++i) {
    const size_t row = row_of(*block.in.all, i);
    block.table->floats->binary(p.op, y.data + row * y.stride, a.data + row * a.stride, b.data + row * b.stride,
                                y.features);
  }
}

}  // namespace

extern const LayerKind kBinaryLayer;
const LayerKind kBinaryLayer = {10, "binary", parse, run};

}  // namespace detail
}  // namespace grucore
