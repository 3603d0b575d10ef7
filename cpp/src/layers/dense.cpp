// The dense (fully connected, linear) layer with its activation.
// SPDX-License-Identifier: Apache-2.0
#include "layers/weights.h"

namespace grucore {
namespace detail {

namespace {

struct DenseParams {
  PackedWeights weight;
  const float* bias;
  Activation activation;
  float input_range;
};

const DenseParams& of(const void* params) { return *static_cast<const DenseParams*>(params); }

Status parse(const NodeSource& source, void* out) {
  DenseParams& params = *new_params<DenseParams>(out);
  GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  GRUCORE_TRY(source.expect_same_clock(0));
  GRUCORE_TRY(source.expect_attributes(3));
  GRUCORE_TRY(source.activation(0, kActivationCount, &params.activation));
  const uint32_t outputs = source.result().features;
  uint32_t tensors = 1;
  GRUCORE_TRY(parse_weights(source, {Role::kWeight, Role::kWeightScale}, {1, outputs, source.input(0).features},
                            &params.weight, &tensors));
  GRUCORE_TRY(parse_input_range(source, params.weight, &params.input_range, &tensors));
  GRUCORE_TRY(source.expect_tensors(tensors));
  PanelWeights bias;
  GRUCORE_TRY(source.panels(Role::kBias, 1, outputs, 0, &bias));
  params.bias = bias.data;
  return Status::kOk;
}

uint64_t macs(const void* params) { return uint64_t{of(params).weight.rows} * of(params).weight.inputs; }
uint32_t products(const void* params) { return products_of(of(params).weight); }
uint64_t scratch_floats(const void* params, const KernelTable&, uint32_t batch, uint32_t frames) {
  return product_scratch(of(params).weight, uint64_t{batch} * frames);
}

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const DenseParams& p = node.as<DenseParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  const BiasedProduct product = {p.weight, p.bias, p.activation, p.input_range, memory.scratch};
  multiply_and_activate(*block.table, product, {x.data, x.stride}, {y.data, y.stride}, *block.in.all);
}

constexpr LayerKind make() {
  LayerKind kind = {2, "dense", parse, run};
  kind.macs = macs;
  kind.products = products;
  kind.scratch_floats = scratch_floats;
  return kind;
}

}  // namespace

extern const LayerKind kDenseLayer;
const LayerKind kDenseLayer = make();

}  // namespace detail
}  // namespace grucore
