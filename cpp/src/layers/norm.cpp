// Softmax, layer normalisation and affine maps: over the features of each frame.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

struct NormParams {
  const float* scale;
  const float* shift;
  float epsilon;
  bool logarithm;
};

Status parse_shapes(const NodeSource& source) {
  GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  GRUCORE_TRY(source.expect_same_clock(0));
  const uint32_t features = source.result().features;
  return source.input(0).features == features ? Status::kOk
                                              : source.refuse(Status::kBadShape, source.input(0).features, features);
}

Status parse_scale_and_shift(const NodeSource& source, NormParams* params) {
  GRUCORE_TRY(source.expect_tensors(2));
  GRUCORE_TRY(source.vector(Role::kScale, source.result().features, &params->scale));
  return source.vector(Role::kShift, source.result().features, &params->shift);
}

Status parse_softmax(const NodeSource& source, void* out) {
  GRUCORE_TRY(parse_shapes(source));
  GRUCORE_TRY(source.expect_attributes(1));
  uint32_t logarithm = 0;
  GRUCORE_TRY(source.attribute(0, 1, &logarithm));
  GRUCORE_TRY(source.expect_tensors(0));
  *static_cast<NormParams*>(out) = {nullptr, nullptr, 0, logarithm == 1};
  return Status::kOk;
}

Status parse_layer_norm(const NodeSource& source, void* out) {
  NormParams params = {};
  GRUCORE_TRY(parse_shapes(source));
  GRUCORE_TRY(source.expect_attributes(1));
  memcpy(&params.epsilon, source.attributes, sizeof params.epsilon);
  if (!(params.epsilon >= 0 && params.epsilon <= 1)) {
    return source.reader.refuse(Status::kBadAttribute, source.attribute_offset, source.attributes[0], 0x3f800000);
  }
  GRUCORE_TRY(parse_scale_and_shift(source, &params));
  *static_cast<NormParams*>(out) = params;
  return Status::kOk;
}

Status parse_affine(const NodeSource& source, void* out) {
  NormParams params = {};
  GRUCORE_TRY(parse_shapes(source));
  GRUCORE_TRY(source.expect_attributes(0));
  GRUCORE_TRY(parse_scale_and_shift(source, &params));
  *static_cast<NormParams*>(out) = params;
  return Status::kOk;
}

using RowFunction = void (*)(const NormParams& p, const FloatKernels& table, float* y, const float* x, size_t features);

void softmax_row(const NormParams& p, const FloatKernels& table, float* y, const float* x, size_t features) {
  table.softmax(p.logarithm, y, x, features);
}
void layer_norm_row(const NormParams& p, const FloatKernels& table, float* y, const float* x, size_t features) {
  table.layer_norm(p.epsilon, y, x, p.scale, p.shift, features);
}
void affine_row(const NormParams& p, const FloatKernels& table, float* y, const float* x, size_t features) {
  table.affine(y, x, p.scale, p.shift, features);
}

template <RowFunction kRow>
void run(const Node& node, const NodeMemory&, const Block& block) {
  const NormParams& p = node.as<NormParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  for (uint32_t i = 0; i < block.in.all->count; ++i) {
    const size_t row = row_of(*block.in.all, i);
    kRow(p, *block.table->floats, y.data + row * y.stride, x.data + row * x.stride, x.features);
  }
}

}  // namespace

extern const LayerKind kSoftmaxLayer;
const LayerKind kSoftmaxLayer = {7, "softmax", parse_softmax, run<softmax_row>};
extern const LayerKind kLayerNormLayer;
const LayerKind kLayerNormLayer = {8, "layer_norm", parse_layer_norm, run<layer_norm_row>};
extern const LayerKind kAffineLayer;
const LayerKind kAffineLayer = {9, "affine", parse_affine, run<affine_row>};

}  // namespace detail
}  // namespace grucore
