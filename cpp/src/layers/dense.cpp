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
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  GRUCORE_TRY(source.expect_same_clock(0));
  GRUCORE_TRY(source.expect_attributes(3));
  GRUCORE_TRY(source.activation(0, kActivationCount, &params.activation));
  GRUCORE_TRY(source.expect_tensors(2));
  const uint32_t outputs = source.result().features;
  GRUCORE_TRY(source.panels(Role::kWeight, 1, outputs, source.input(0).features, &params.weight));
  GRUCORE_TRY(source.panels(Role::kBias, 1, outputs, 0, &params.bias));
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

constexpr LayerKind make() {
  LayerKind kind = {2, "dense", parse, run};
  kind.macs = macs;
  return kind;
}

}  // namespace

extern const LayerKind kDenseLayer;
const LayerKind kDenseLayer = make();

}  // namespace detail
}  // namespace grucore
