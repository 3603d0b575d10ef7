// Embedding: ids to rows of a table.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

struct EmbeddingParams {
  const float* table;
  size_t stride;
  uint32_t ids;
  uint32_t width;
};

Status parse(const NodeSource& source, void* out) {
  GRUCORE_TRY(source.expect_inputs(1));
  const Value& x = source.input(0);
  const Value& y = source.result();
  if (x.dtype != Dtype::kInt32) return source.refuse(Status::kBadShape, static_cast<uint64_t>(x.dtype), 1);
  GRUCORE_TRY(source.expect_float32(y));
  if (x.rate != y.rate || x.period != y.period || x.skip != y.skip)
    return source.refuse(Status::kBadShape, y.skip, x.skip);
  GRUCORE_TRY(source.expect_attributes(0));
  GRUCORE_TRY(source.expect_tensors(1));
  const Tensor* table = source.find(Role::kTable);
  if (!table) return source.refuse(Status::kMissingTensor, 0, 1);
  GRUCORE_TRY(source.expect_tensor(*table, TensorDtype::kFloat32, Layout::kRows, 2));
  const uint64_t features = uint64_t{x.features} * table->shape[1];
  if (features != y.features) return source.refuse(Status::kBadShape, y.features, features);
  *static_cast<EmbeddingParams*>(out) = {static_cast<const float*>(table->data), round_up(table->shape[1], kPanel),
                                         table->shape[0], table->shape[1]};
  return Status::kOk;
}

void run(const Node& node, const NodeMemory&, const Block& block) {
  const EmbeddingParams& p = node.as<EmbeddingParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  const size_t bytes = size_t{p.width} * sizeof(float);
  for (uint32_t i = 0; i < block.in.all.count; ++i) {
    const size_t row = row_of(block.in.all, i);
    for (uint32_t f = 0; f < x.features; ++f) {
      uint32_t id;  // a negative one is out of range too
      memcpy(&id, x.data + row * x.stride + f, sizeof id);
      float* to = y.data + row * y.stride + size_t{f} * p.width;
      if (id < p.ids) {
        memcpy(to, p.table + id * p.stride, bytes);
      } else {
        memset(to, 0, bytes);
      }
    }
  }
}

}  // namespace

extern const LayerKind kEmbeddingLayer;
const LayerKind kEmbeddingLayer = {5, "embedding", parse, run};

}  // namespace detail
}  // namespace grucore
