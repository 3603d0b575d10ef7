// Weights of any dtype in a layer: their tensors, and the products with them.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_LAYERS_WEIGHTS_H_
#define GRUCORE_LAYERS_WEIGHTS_H_

#include "layers/layer.h"

namespace grucore {
namespace detail {

// The tensors of one matrix: where it stands, and where its scales do.
struct WeightRoles {
  Role weight;
  Role scale;
};

struct WeightShape {
  uint32_t gates;
  uint32_t rows;
  uint32_t inputs;    // of one tap
  uint32_t taps = 0;  // taps of a convolution; 0: a plain matrix
  uint32_t groups = 1;
};

// panel16 of any dtype with its scales. `tensors` counts those found; `out` is the matrix of the first group.
Status parse_weights(const NodeSource& source, const WeightRoles& roles, const WeightShape& shape, PackedWeights* out,
                     uint32_t* tensors);

// The fixed range of quantized inputs, 0 where there is none; only beside an integer product.
Status parse_input_range(const NodeSource& source, const PackedWeights& weights, float* out, uint32_t* tensors);

inline uint32_t products_of(const PackedWeights& weights) {
  return is_integer(weights.kind) ? kIntegerProducts : kFloatProducts;
}
inline bool is_float32(const PackedWeights& weights) { return weights.kind == WeightKind::kFloat32; }
// As the kernels that take nothing but float32 want them.
inline PanelWeights as_panels(const PackedWeights& weights) {
  return {static_cast<const float*>(weights.data), weights.gates, weights.rows, weights.inputs * weights.taps};
}
// The matrix of group `group`.
PackedWeights group_of(const PackedWeights& weights, uint32_t group);

// Floats of scratch that the products of `rows` rows need.
uint64_t product_scratch(const PackedWeights& weights, uint64_t rows);

// Bytes of a row there.
inline size_t quantized_stride(const PackedWeights& weights) { return size_t{weights.tap_bytes} * weights.taps; }

// y = bias + weights * x, or y += weights * x, by the kernels for these weights.
void multiply(const KernelTable& table, const ProductArgs& args);

// y = activation(bias + weights * x): the dense layer and the convolution.
struct BiasedProduct {
  const PackedWeights& weights;  // of one gate
  const float* bias;
  Activation activation;
  float input_range;
  float* scratch;
};
void multiply_and_activate(const KernelTable& table, const BiasedProduct& product, const ConstMatrix& x,
                           const Matrix& y, const Rows& rows);

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_LAYERS_WEIGHTS_H_
