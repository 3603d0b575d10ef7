// The dense (fully connected, linear) layer with its activation.
// SPDX-License-Identifier: Apache-2.0
#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

struct DenseParams {
  PanelWeights weight;
  PanelWeights bias;
  Activation activation;
};

Status parse(const NodeSource& source, void* out) {
  DenseParams params = {};
  GRUCORE_TRY(source.expect_inputs(1));
  const Value& x = source.input(0);
  const Value& y = source.result();
  if (x.dtype != Dtype::kFloat32 || y.dtype != Dtype::kFloat32) return source.refuse(Status::kBadShape, 1, 0);
  if (x.rate != y.rate || x.period != y.period) {
    return source.refuse(Status::kBadShape, static_cast<uint64_t>(y.rate), static_cast<uint64_t>(x.rate));
  }
  GRUCORE_TRY(source.expect_attributes(1));
  uint32_t activation = 0;
  GRUCORE_TRY(source.attribute(0, kActivationCount - 1, &activation));
  params.activation = static_cast<Activation>(activation);
  GRUCORE_TRY(source.expect_tensors(2));
  GRUCORE_TRY(source.panels(Role::kWeight, 1, y.features, x.features, &params.weight));
  GRUCORE_TRY(source.panels(Role::kBias, 1, y.features, 0, &params.bias));
  *static_cast<DenseParams*>(out) = params;
  return Status::kOk;
}

uint64_t macs(const void* params) {
  const DenseParams& p = *static_cast<const DenseParams*>(params);
  return uint64_t{p.weight.rows} * p.weight.inputs;
}

void run(const Node& node, const NodeMemory&, const Block& block) {
  const DenseParams& p = node.as<DenseParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  block.table->matmul({p.weight, p.bias.data, 1, p.activation, {x.data, x.stride}, {y.data, y.stride}, block.in.all});
}

}  // namespace

extern const LayerKind kDenseLayer;
const LayerKind kDenseLayer = {2, "dense", nullptr, false, parse, no_state, always_streamable, macs, no_scratch, run};

}  // namespace detail
}  // namespace grucore
