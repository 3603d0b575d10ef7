// Embedding: ids to rows of a table.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "kernels/vec/half.h"
#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

struct EmbeddingParams {
  const void* table;
  const float* scale;  // int8: of each row
  TensorDtype dtype;
  size_t stride;
  uint32_t ids;
  uint32_t width;
};

Status parse(const NodeSource& source, void* out) {
  GRUCORE_TRY(source.expect_inputs(1));
  const Value& x = source.input(0);
  const Value& y = source.result();
  if (x.dtype != Dtype::kInt32) return source.refuse(Status::kBadShape, static_cast<size_t>(x.dtype), 1);
  GRUCORE_TRY(source.expect_float32(y));
  if (x.rate != y.rate || x.period != y.period || x.skip != y.skip)
    return source.refuse(Status::kBadShape, y.skip, x.skip);
  GRUCORE_TRY(source.expect_attributes(0));
  const Tensor* table = source.find(Role::kTable);
  if (!table) return source.refuse(Status::kMissingTensor, 0, 1);
  const bool is_short = table->dtype == TensorDtype::kFloat16 || table->dtype == TensorDtype::kInt8;
  GRUCORE_TRY(source.expect_tensor(*table, is_short ? table->dtype : TensorDtype::kFloat32, Layout::kRows, 2));
  const float* scale = nullptr;
  const bool has_scale = table->dtype == TensorDtype::kInt8;
  GRUCORE_TRY(source.expect_tensors(has_scale ? 2 : 1));
  if (has_scale) {
    GRUCORE_TRY(source.vector(Role::kTableScale, table->shape[0], &scale));
    GRUCORE_TRY(source.expect_not_negative(Role::kTableScale, table->shape[0]));
  }
  const uint64_t features = uint64_t{x.features} * table->shape[1];
  if (features != y.features) return source.refuse_wide(Status::kBadShape, y.features, features);
  *static_cast<EmbeddingParams*>(out) = {
      table->data, scale, table->dtype, round_up(table->shape[1], kPanel), table->shape[0], table->shape[1]};
  return Status::kOk;
}

void give_row(const EmbeddingParams& p, size_t id, float* to) {
  const size_t at = id * p.stride;
  if (p.dtype == TensorDtype::kInt8) {
    const int8_t* row = static_cast<const int8_t*>(p.table) + at;
    for (uint32_t i = 0; i < p.width; ++i) {
      const float value = static_cast<float>(row[i]) * p.scale[id];
      to[i] = value < 0x1p-126f && value > -0x1p-126f ? 0.0f : value;
    }
  } else if (p.dtype == TensorDtype::kFloat16) {
    const uint16_t* row = static_cast<const uint16_t*>(p.table) + at;
    for (uint32_t i = 0; i < p.width; ++i) to[i] = half_to_float(row[i]);
  } else {
    memcpy(to, static_cast<const float*>(p.table) + at, size_t{p.width} * sizeof(float));
  }
}

void run(const Node& node, const NodeMemory&, const Block& block) {
  const EmbeddingParams& p = node.as<EmbeddingParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  const size_t bytes = size_t{p.width} * sizeof(float);
  for (uint32_t i = 0; i < block.in.all->count; ++i) {
    const size_t row = row_of(*block.in.all, i);
    for (uint32_t f = 0; f < x.features; ++f) {
      uint32_t id;  // a negative one is out of range too
      memcpy(&id, x.data + row * x.stride + f, sizeof id);
      float* to = y.data + row * y.stride + size_t{f} * p.width;
      if (id < p.ids) {
        give_row(p, id, to);
      } else {
        memset(to, 0, bytes);
      }
    }
  }
}

uint32_t ids(const void* params) { return static_cast<const EmbeddingParams*>(params)->ids; }

constexpr LayerKind make() {
  LayerKind kind = {5, "embedding", parse, run};
  kind.ids = ids;
  return kind;
}

}  // namespace

extern const LayerKind kEmbeddingLayer;
const LayerKind kEmbeddingLayer = make();

}  // namespace detail
}  // namespace grucore
