// The list of layer kinds, and the checks that they share.
// SPDX-License-Identifier: Apache-2.0
#include "layers/layer.h"

namespace grucore {
namespace detail {

#define GRUCORE_LAYER(object) extern const LayerKind object;
#include "layers/layer_list.inc"
#undef GRUCORE_LAYER

namespace {

const LayerKind* const kKinds[] = {
#define GRUCORE_LAYER(object) &object,
#include "layers/layer_list.inc"
#undef GRUCORE_LAYER
};

}  // namespace

const LayerKind* find_layer_kind(uint32_t number) {
  for (const LayerKind* kind : kKinds) {
    if (kind->number == number) return kind;
  }
  return nullptr;
}

Status NodeSource::panels(Role role, uint32_t gates, uint32_t rows, uint32_t inputs, PanelWeights* out) const {
  for (uint32_t i = 0; i < tensor_count; ++i) {
    const Tensor& tensor = tensors[i];
    if (tensor.role != static_cast<uint32_t>(role)) continue;
    reader.blame(kNone, tensor.role);
    if (tensor.dtype != TensorDtype::kFloat32) {
      return reader.refuse(Status::kUnknownDtype, tensor.record_offset + 4, static_cast<uint32_t>(tensor.dtype), 0);
    }
    if (tensor.layout != Layout::kPanel16) {
      return reader.refuse(Status::kUnknownLayout, tensor.record_offset + 8, static_cast<uint32_t>(tensor.layout),
                           static_cast<uint32_t>(Layout::kPanel16));
    }
    const uint32_t rank = inputs ? 2 : 1;
    if (tensor.rank != rank) return reader.refuse(Status::kBadShape, tensor.record_offset + 12, tensor.rank, rank);
    if (tensor.params[0] != gates) {
      return reader.refuse(Status::kBadShape, tensor.record_offset + 32, tensor.params[0], gates);
    }
    const uint64_t outputs = uint64_t{gates} * rows;
    if (tensor.shape[0] != outputs) {
      return reader.refuse(Status::kBadShape, tensor.record_offset + 16, tensor.shape[0], outputs);
    }
    if (inputs && tensor.shape[1] != inputs) {
      return reader.refuse(Status::kBadShape, tensor.record_offset + 20, tensor.shape[1], inputs);
    }
    reader.blame(kNone, kNone);
    *out = {static_cast<const float*>(tensor.data), gates, rows, inputs};
    return Status::kOk;
  }
  reader.blame(kNone, static_cast<uint32_t>(role));
  return refuse(Status::kMissingTensor, 0, 1);
}

}  // namespace detail
}  // namespace grucore
