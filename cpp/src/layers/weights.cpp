// Weights of any dtype in a layer.
// SPDX-License-Identifier: Apache-2.0
#include "layers/weights.h"

#include <string.h>

namespace grucore {
namespace detail {

namespace {

Status kind_of(const NodeSource& source, const Tensor& tensor, WeightKind* out) {
  bool known = true;
  switch (tensor.dtype) {
    case TensorDtype::kFloat32: *out = WeightKind::kFloat32; break;
    case TensorDtype::kFloat16: *out = WeightKind::kFloat16; break;
    case TensorDtype::kInt8: *out = WeightKind::kInt8; break;
    case TensorDtype::kInt4: *out = WeightKind::kInt4; break;
    default: known = false; break;
  }
  if (known && has_weights(*out)) return Status::kOk;
  return source.reader.refuse(Status::kUnknownDtype, tensor.record_offset + 4, static_cast<uint32_t>(tensor.dtype),
                              static_cast<uint32_t>(TensorDtype::kFloat32));
}

Status expect(const NodeSource& source, const Tensor& tensor, uint32_t offset, size_t found, size_t expected) {
  return found == expected ? Status::kOk
                           : source.reader.refuse(Status::kBadShape, tensor.record_offset + offset, found, expected);
}

// No product here overflows: rows of all groups are at most kMaxFeatures, and so are columns.

// The numbers that tensors in panel16 share: gates, groups and rows.
Status expect_panels(const NodeSource& source, const Tensor& tensor, const WeightShape& shape) {
  GRUCORE_TRY(expect(source, tensor, 32, tensor.params[0], shape.gates));
  GRUCORE_TRY(expect(source, tensor, 40, tensor.params[2] ? tensor.params[2] : 1, shape.groups));
  return expect(source, tensor, 16, tensor.shape[0], size_t{shape.gates} * shape.rows * shape.groups);
}

uint32_t taps_of(const WeightShape& shape) { return shape.taps ? shape.taps : 1; }

Status expect_columns(const NodeSource& source, const Tensor& tensor, WeightKind kind, const WeightShape& shape) {
  if (!is_integer(kind) || !shape.taps) {
    GRUCORE_TRY(expect(source, tensor, 12, tensor.rank, 2));
    return expect(source, tensor, 20, tensor.shape[1], size_t{shape.inputs} * taps_of(shape));
  }
  GRUCORE_TRY(expect(source, tensor, 12, tensor.rank, 3));
  GRUCORE_TRY(expect(source, tensor, 20, tensor.shape[1], shape.taps));
  return expect(source, tensor, 24, tensor.shape[2], shape.inputs);
}

#if GRUCORE_HAS_BLOCKS
// The places of blocks, in a tensor that the loader has checked.
Status parse_blocks(const NodeSource& source, const Tensor& tensor, const WeightShape& shape, PackedWeights* out) {
  GRUCORE_TRY(expect(source, tensor, 32, tensor.params[0], shape.gates));
  GRUCORE_TRY(expect(source, tensor, 16, tensor.shape[0], size_t{shape.gates} * shape.rows));
  GRUCORE_TRY(expect(source, tensor, 20, tensor.shape[1], shape.inputs));
  const size_t places = places_bytes(tensor.shape[0] / kStripRows, tensor.params[2]);
  out->ends = static_cast<const uint32_t*>(tensor.data);
  out->data = static_cast<const unsigned char*>(tensor.data) + places;
  return Status::kOk;
}
#endif

Status parse_scale(const NodeSource& source, Role role, const WeightShape& shape, PackedWeights* out) {
  const Tensor* tensor = source.find(role);
  source.blame(role);
  if (!tensor) return source.refuse(Status::kMissingTensor, 0, 1);
  const bool is_int8 = !has_weights(WeightKind::kInt4) || out->kind == WeightKind::kInt8;
  GRUCORE_TRY(source.expect_tensor(*tensor, is_int8 ? TensorDtype::kFloat32 : TensorDtype::kFloat16, Layout::kPanel16,
                                   is_int8 ? 1 : 2));
  GRUCORE_TRY(expect_panels(source, *tensor, shape));
  if (!is_int8) {
    GRUCORE_TRY(expect(source, *tensor, 20, tensor->shape[1], size_t{out->sums} * taps_of(shape)));
  }
  out->scale = tensor->data;
  if (is_int8) {
    const size_t count = size_t{shape.gates} * padded_rows(shape.rows) * shape.groups;
    GRUCORE_TRY(source.expect_not_negative(role, count));
  }
  source.blame_no_tensor();
  return Status::kOk;
}

}  // namespace

Status parse_weights(const NodeSource& source, const WeightRoles& roles, const WeightShape& shape, PackedWeights* out,
                     uint32_t* tensors) {
  const Tensor* tensor = source.find(roles.weight);
  source.blame(roles.weight);
  if (!tensor) return source.refuse(Status::kMissingTensor, 0, 1);
  *out = {};
  GRUCORE_TRY(kind_of(source, *tensor, &out->kind));
  out->data = tensor->data;
#if GRUCORE_HAS_BLOCKS
  const bool in_blocks = tensor->layout == Layout::kBlocks8x4 && !shape.taps && shape.groups == 1;
  if (in_blocks) GRUCORE_TRY(parse_blocks(source, *tensor, shape, out));
#else
  constexpr bool in_blocks = false;
#endif
  if (!in_blocks) {
    GRUCORE_TRY(source.expect_tensor(*tensor, tensor->dtype, Layout::kPanel16, tensor->rank));
    GRUCORE_TRY(expect_panels(source, *tensor, shape));
    GRUCORE_TRY(expect_columns(source, *tensor, out->kind, shape));
  }
  source.blame_no_tensor();
  out->gates = shape.gates;
  out->rows = shape.rows;
  const bool has_taps = is_integer(out->kind);
  out->inputs = has_taps ? shape.inputs : shape.inputs * taps_of(shape);
  out->taps = has_taps ? taps_of(shape) : 1;
  ++*tensors;
  if (!is_integer(out->kind)) return Status::kOk;
  out->activation_bits = tensor->params[3];
#if defined(GRUCORE_ONLY_SCALAR)
  constexpr uint32_t kLine = 8;
#else
  constexpr uint32_t kLine = 64;
#endif
  out->sums = sums_of(out->kind, out->inputs);
  out->header = round_up(4 + 4 * out->sums, kLine);
  out->plane = round_up(out->inputs, kLine);
  out->tap_bytes = out->header + out->plane * activation_bytes(out->activation_bits);
  ++*tensors;
  return parse_scale(source, roles.scale, shape, out);
}

Status parse_input_range(const NodeSource& source, const PackedWeights& weights, float* out, uint32_t* tensors) {
  *out = 0;
  const Tensor* tensor = source.find(Role::kInputRange);
  if (!tensor) return Status::kOk;
  const float* range = nullptr;
  GRUCORE_TRY(source.vector(Role::kInputRange, 1, &range));
  if (!is_integer(weights.kind)) return source.refuse(Status::kMissingTensor, 1, 0);
  GRUCORE_TRY(source.expect_not_negative(Role::kInputRange, 1));
  if (*range == 0) return source.refuse_number(*tensor, 0);
  *out = *range;
  ++*tensors;
  return Status::kOk;
}

PackedWeights group_of(const PackedWeights& weights, uint32_t group) {
  const size_t rows = size_t{group} * weights.gates * padded_rows(weights.rows);
  const size_t elements = rows * padded_inputs(weights.kind, weights.inputs) * weights.taps;
  PackedWeights result = weights;
  const unsigned char* data = static_cast<const unsigned char*>(weights.data);
  const unsigned char* scale = static_cast<const unsigned char*>(weights.scale);
  switch (weights.kind) {
    case WeightKind::kFloat32: result.data = data + elements * 4; break;
    case WeightKind::kFloat16: result.data = data + elements * 2; break;
    case WeightKind::kInt8:
      result.data = data + elements;
      result.scale = scale + rows * 4;
      break;
    case WeightKind::kInt4:
      result.data = data + elements / 2;
      result.scale = scale + rows * weights.sums * weights.taps * 2;
      break;
  }
  return result;
}

uint64_t product_scratch(const PackedWeights& weights, uint64_t rows) {
  return rows * quantized_stride(weights) / sizeof(float);
}

void multiply(const KernelTable& table, const ProductArgs& args) {
  if (takes_integers(args.weights->kind)) {
    table.integers->product(args);
  } else {
    table.floats->product(args);
  }
}

void multiply_and_activate(const KernelTable& table, const BiasedProduct& product, const ConstMatrix& x,
                           const Matrix& y, const Rows& rows) {
  const PackedWeights& weights = product.weights;
  if (is_float32(weights) && table.floats->matmul) {
    table.floats->matmul({as_panels(weights), product.bias, product.activation, x, y, rows});
    return;
  }
  const QuantizedRows quantized = {reinterpret_cast<unsigned char*>(product.scratch), quantized_stride(weights)};
  multiply(table, {&weights, product.bias, 1, product.input_range, 0.0f, x, quantized, y, rows, false, false});
  for (uint32_t i = 0; i < rows.count; ++i) {
    float* const row = y.data + row_of(rows, i) * y.stride;
    table.floats->activate(product.activation, nullptr, row, row, weights.rows);
  }
}

}  // namespace detail
}  // namespace grucore
