// The list of layer kinds, and the checks that they share.
// SPDX-License-Identifier: Apache-2.0
#include "layers/layer.h"

#include <string.h>

// Firmware may name a shorter list of its own, and pay for those layers only.
#if !defined(GRUCORE_LAYER_LIST)  // parts.h says what else may be left out
#define GRUCORE_LAYER_LIST "layers/layer_list.inc"
#endif

namespace grucore {
namespace detail {

#define GRUCORE_LAYER(object) extern const LayerKind object;
#include GRUCORE_LAYER_LIST
#undef GRUCORE_LAYER

namespace {

const LayerKind* const kKinds[] = {
#define GRUCORE_LAYER(object) &object,
#include GRUCORE_LAYER_LIST
#undef GRUCORE_LAYER
};

// Knows the activations that this build has; the others are refused before.
uint32_t parameters_of(ActivationCode code) {
  switch (code) {
#define GRUCORE_ACTIVATION(enumerator, number, name, parameters) \
  case ActivationCode::enumerator: return has_activation(ActivationCode::enumerator) ? parameters : 0;
#include "kernels/activations.inc"
#undef GRUCORE_ACTIVATION
  }
  return 0;
}

bool is(ActivationCode code, ActivationCode one) { return has_activation(one) && code == one; }

}  // namespace

const LayerKind* find_layer_kind(uint32_t number) {
  for (const LayerKind* kind : kKinds) {
    if (kind->number == number) return kind;
  }
  return nullptr;
}

Status NodeSource::expect_same_clock(uint32_t i) const {
  const Value& x = input(i);
  const Value& y = result();
  if (x.dtype != y.dtype) return refuse(Status::kBadShape, static_cast<size_t>(x.dtype), static_cast<size_t>(y.dtype));
  if (x.rate != y.rate) return refuse(Status::kBadShape, static_cast<size_t>(x.rate), static_cast<size_t>(y.rate));
  if (x.period != y.period) return refuse(Status::kBadShape, x.period, y.period);
  if (x.skip != y.skip) return refuse(Status::kBadShape, x.skip, y.skip);
  return Status::kOk;
}

Status NodeSource::expect_float32(const Value& value) const {
  return value.dtype == Dtype::kFloat32 ? Status::kOk : refuse(Status::kBadShape, static_cast<size_t>(value.dtype), 0);
}

Status NodeSource::activation(uint32_t first, uint32_t codes, Activation* out) const {
  uint32_t code = 0;
  GRUCORE_TRY(attribute(first, codes - 1, &code));
  out->code = static_cast<ActivationCode>(code);
  if (!has_activation(out->code)) return reader.refuse(Status::kBadAttribute, attribute_offset + 4 * first, code, 0);
  memcpy(&out->alpha, &attributes[first + 1], sizeof out->alpha);
  memcpy(&out->beta, &attributes[first + 2], sizeof out->beta);
  for (uint32_t i = 1; i <= 2; ++i) {
    const uint32_t word = attributes[first + i];
    const bool is_used = i <= parameters_of(out->code);
    const bool is_finite = (word & 0x7f800000u) != 0x7f800000u;
    const bool has_floor = i == 1 && (is(out->code, ActivationCode::kLog) || is(out->code, ActivationCode::kLog1p));
    const bool is_nan = !is_finite && (word & 0x007fffffu) != 0;
    const bool may_be_infinite = !is_nan && (is(out->code, ActivationCode::kClip) || has_floor);
    if (is_used ? !is_finite && !may_be_infinite : word != 0) {
      return reader.refuse(Status::kBadAttribute, attribute_offset + 4 * size_t{first + i}, word, 0);
    }
  }
  return Status::kOk;
}

const Tensor* NodeSource::find(Role role) const {
  for (uint32_t i = 0; i < tensor_count; ++i) {
    if (tensors[i].role == static_cast<uint32_t>(role)) return &tensors[i];
  }
  return nullptr;
}

Status NodeSource::expect_tensor(const Tensor& tensor, TensorDtype dtype, Layout layout, uint32_t rank) const {
  if (tensor.dtype != dtype) {
    return reader.refuse(Status::kUnknownDtype, tensor.record_offset + 4, static_cast<uint32_t>(tensor.dtype),
                         static_cast<uint32_t>(dtype));
  }
  if (tensor.layout != layout) {
    return reader.refuse(Status::kUnknownLayout, tensor.record_offset + 8, static_cast<uint32_t>(tensor.layout),
                         static_cast<uint32_t>(layout));
  }
  if (tensor.rank != rank) return reader.refuse(Status::kBadShape, tensor.record_offset + 12, tensor.rank, rank);
  return Status::kOk;
}

Status NodeSource::panels(Role role, uint32_t gates, uint32_t rows, uint32_t inputs, PanelWeights* out,
                          uint32_t groups) const {
  const Tensor* tensor = find(role);
  blame(role);
  if (!tensor) return refuse(Status::kMissingTensor, 0, 1);
  GRUCORE_TRY(expect_tensor(*tensor, TensorDtype::kFloat32, Layout::kPanel16, inputs ? 2 : 1));
  const size_t at = tensor->record_offset;
  if (tensor->params[0] != gates) return reader.refuse(Status::kBadShape, at + 32, tensor->params[0], gates);
  const uint32_t stored_groups = tensor->params[2] ? tensor->params[2] : 1;
  if (stored_groups != groups) return reader.refuse(Status::kBadShape, at + 40, stored_groups, groups);
  const size_t outputs = size_t{gates} * rows * groups;  // at most 4 times kMaxFeatures
  if (tensor->shape[0] != outputs) return reader.refuse(Status::kBadShape, at + 16, tensor->shape[0], outputs);
  if (inputs && tensor->shape[1] != inputs) return reader.refuse(Status::kBadShape, at + 20, tensor->shape[1], inputs);
  blame_no_tensor();
  *out = {static_cast<const float*>(tensor->data), gates, rows, inputs};
  return Status::kOk;
}

Status NodeSource::refuse_number(const Tensor& tensor, size_t index) const {
  const unsigned char* at = static_cast<const unsigned char*>(tensor.data) + 4 * index;
  const size_t offset = static_cast<size_t>(at - reader.at(0));
  return reader.refuse(Status::kNonfiniteWeight, offset, reader.u32(offset), 0);
}

Status NodeSource::expect_not_negative(Role role, size_t count) const {
  const Tensor* tensor = find(role);
  const float* numbers = static_cast<const float*>(tensor->data);
  for (size_t i = 0; i < count; ++i) {
    if (!(numbers[i] >= 0)) {
      blame(role);
      return refuse_number(*tensor, i);
    }
  }
  return Status::kOk;
}

Status NodeSource::vector(Role role, uint32_t features, const float** out) const {
  const Tensor* tensor = find(role);
  blame(role);
  if (!tensor) return refuse(Status::kMissingTensor, 0, 1);
  GRUCORE_TRY(expect_tensor(*tensor, TensorDtype::kFloat32, Layout::kRowMajor, 1));
  if (tensor->shape[0] != features) {
    return reader.refuse(Status::kBadShape, tensor->record_offset + 16, tensor->shape[0], features);
  }
  blame_no_tensor();
  *out = static_cast<const float*>(tensor->data);
  return Status::kOk;
}

}  // namespace detail
}  // namespace grucore
