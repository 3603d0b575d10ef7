// Activations, element by element.
// SPDX-License-Identifier: Apache-2.0
#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

struct ActivationParams {
  Activation activation;
  const float* slope;
};

Status parse(const NodeSource& source, void* out) {
  ActivationParams params = {};
  GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  GRUCORE_TRY(source.expect_same_clock(0));
  const uint32_t features = source.result().features;
  if (source.input(0).features != features) return source.refuse(Status::kBadShape, source.input(0).features, features);
  GRUCORE_TRY(source.expect_attributes(3));
  GRUCORE_TRY(source.activation(0, kActivationCount, &params.activation));
  const bool has_slope = source.find(Role::kSlope) != nullptr;
  GRUCORE_TRY(source.expect_tensors(has_slope ? 1 : 0));
  if (has_slope) {
    if (params.activation.code != ActivationCode::kLeakyRelu)
      return source.refuse(Status::kBadAttribute, source.attributes[0], 4);
    if (source.attributes[1] != 0) return source.refuse(Status::kBadAttribute, source.attributes[1], 0);
    GRUCORE_TRY(source.vector(Role::kSlope, features, &params.slope));
  }
  *static_cast<ActivationParams*>(out) = params;
  return Status::kOk;
}

void run(const Node& node, const NodeMemory&, const Block& block) {
  const ActivationParams& p = node.as<ActivationParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  for (uint32_t i = 0; i < block.in.all->count; ++i) {
    const size_t row = row_of(*block.in.all, i);
    block.table->floats->activate(p.activation, p.slope, y.data + row * y.stride, x.data + row * x.stride, x.features);
  }
}

}  // namespace

extern const LayerKind kActivationLayer;
const LayerKind kActivationLayer = {6, "activation", parse, run};

}  // namespace detail
}  // namespace grucore
