// Features picked by index: slices, permutations, repetitions.
// SPDX-License-Identifier: Apache-2.0
#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

struct SelectParams {
  const uint32_t* index;
};

Status parse(const NodeSource& source, void* out) {
  GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_same_clock(0));
  GRUCORE_TRY(source.expect_attributes(0));
  GRUCORE_TRY(source.expect_tensors(1));
  const Tensor* index = source.find(Role::kIndex);
  if (!index) return source.refuse(Status::kMissingTensor, 0, 1);
  GRUCORE_TRY(source.expect_tensor(*index, TensorDtype::kInt32, Layout::kRowMajor, 1));
  const uint32_t features = source.result().features;
  if (index->shape[0] != features)
    return source.reader.refuse(Status::kBadShape, index->record_offset + 16, index->shape[0], features);
  *static_cast<SelectParams*>(out) = {static_cast<const uint32_t*>(index->data)};
  const uint32_t* indices = static_cast<const uint32_t*>(index->data);
  for (uint32_t i = 0; i < features; ++i) {
    if (indices[i] >= source.input(0).features) {
      return source.reader.refuse(Status::kBadIndex, index->record_offset, indices[i], source.input(0).features - 1);
    }
  }
  return Status::kOk;
}

void run(const Node& node, const NodeMemory&, const Block& block) {
  const SelectParams& p = node.as<SelectParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  for (uint32_t i = 0; i < block.in.all->count; ++i) {
    const size_t row = row_of(*block.in.all, i);
    const float* from = x.data + row * x.stride;
    float* to = y.data + row * y.stride;
    for (uint32_t f = 0; f < y.features; ++f) {
      // A mapped file may change after load: its indices are bounded again, so that they stay harmless.
      const uint32_t index = p.index[f];
      to[f] = from[index < x.features ? index : 0];
    }
  }
}

}  // namespace

extern const LayerKind kSelectLayer;
const LayerKind kSelectLayer = {11, "select", parse, run};

}  // namespace detail
}  // namespace grucore
