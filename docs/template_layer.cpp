// Template of cpp/src/layers/<kind>.cpp: y = x + offset, one float32 attribute. Here stands what yours computes.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

// The parameters from parse to run: numbers, and pointers into the file. At most kParamsBytes.
struct OffsetParams {
  float offset;
};

// Refuses what python's `check` and `slots` refuse: the tests of hostile files compare the two.
Status parse(const NodeSource& source, void* out) {
  OffsetParams* params = new_params<OffsetParams>(out);
  GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  GRUCORE_TRY(source.expect_same_clock(0));
  const uint32_t features = source.result().features;
  if (source.input(0).features != features) return source.refuse(Status::kBadShape, source.input(0).features, features);
  GRUCORE_TRY(source.expect_attributes(1));
  memcpy(&params->offset, source.attributes, sizeof params->offset);
  if ((source.attributes[0] & 0x7f800000u) == 0x7f800000u) {  // infinite or NaN
    return source.reader.refuse(Status::kBadAttribute, source.attribute_offset, source.attributes[0], 0);
  }
  return source.expect_tensors(0);  // a tensor (features,): source.vector(Role::kShift, features, &params->shift)
}

// Each row by itself, so that no bit depends on the block; denormals become zero. kernels/float_kernels.inc has more.
void run(const Node& node, const NodeMemory&, const Block& block) {
  constexpr float kSmallestNormal = 0x1p-126f;
  const OffsetParams& p = node.as<OffsetParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  for (uint32_t i = 0; i < block.in.all->count; ++i) {
    const size_t row = row_of(*block.in.all, i);
    for (uint32_t f = 0; f < x.features; ++f) {
      const float sum = x.data[row * x.stride + f] + p.offset;
      y.data[row * y.stride + f] = sum < kSmallestNormal && sum > -kSmallestNormal ? 0.0f : sum;
    }
  }
}

}  // namespace

// The number of docs/format.md. LayerKind in layer.h lists the hooks: states, scratch, products, plan.
extern const LayerKind kOffsetLayer;
const LayerKind kOffsetLayer = {0, "offset", parse, run};

}  // namespace detail
}  // namespace grucore
