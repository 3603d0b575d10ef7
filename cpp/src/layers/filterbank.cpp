// Weighted sums over bands of neighbouring features: a matrix whose rows are mostly zero.
// SPDX-License-Identifier: Apache-2.0
#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

struct Band {
  uint32_t first;
  uint32_t count;
};

struct FilterbankParams {
  const float* weight;  // of one band after the other
  const Band* bands;
  uint32_t count;  // of the weights
};

const FilterbankParams& of(const void* params) { return *static_cast<const FilterbankParams*>(params); }

Status parse(const NodeSource& source, void* out) {
  FilterbankParams& params = *new_params<FilterbankParams>(out);
  GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  GRUCORE_TRY(source.expect_same_clock(0));
  GRUCORE_TRY(source.expect_attributes(0));
  GRUCORE_TRY(source.expect_tensors(2));
  const Tensor* index = source.find(Role::kIndex);
  source.blame(Role::kIndex);
  if (!index) return source.refuse(Status::kMissingTensor, 0, 1);
  GRUCORE_TRY(source.expect_tensor(*index, TensorDtype::kInt32, Layout::kRowMajor, 2));
  const uint32_t shape[2] = {source.result().features, 2};
  for (uint32_t i = 0; i < 2; ++i) {
    if (index->shape[i] == shape[i]) continue;
    return source.reader.refuse(Status::kBadShape, index->record_offset + 16 + 4 * i, index->shape[i], shape[i]);
  }
  const uint32_t features = source.input(0).features;
  params.bands = static_cast<const Band*>(index->data);
  uint64_t count = 0;
  for (uint32_t i = 0; i < shape[0]; ++i) {
    const Band band = params.bands[i];
    if (band.count > features || band.first > features - band.count) {
      const uint64_t last = uint64_t{band.first} + band.count;
      return source.reader.refuse_wide(Status::kBadIndex, index->record_offset, last, features);
    }
    count += band.count;
  }
  const Tensor* weight = source.find(Role::kWeight);
  source.blame(Role::kWeight);
  if (!weight) return source.refuse(Status::kMissingTensor, 0, 1);
  GRUCORE_TRY(source.expect_tensor(*weight, TensorDtype::kFloat32, Layout::kRowMajor, 1));
  if (weight->shape[0] != count) {
    return source.reader.refuse_wide(Status::kBadShape, weight->record_offset + 16, weight->shape[0], count);
  }
  source.blame_no_tensor();
  params.weight = static_cast<const float*>(weight->data);
  params.count = weight->shape[0];
  return Status::kOk;
}

uint64_t macs(const void* params) { return of(params).count; }

void run(const Node& node, const NodeMemory&, const Block& block) {
  constexpr float kSmallestNormal = 0x1p-126f;
  const FilterbankParams& p = node.as<FilterbankParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  for (uint32_t i = 0; i < block.in.all->count; ++i) {
    const size_t row = row_of(*block.in.all, i);
    const float* from = x.data + row * x.stride;
    const float* weight = p.weight;
    uint32_t left = p.count;
    for (uint32_t f = 0; f < y.features; ++f) {
      // A mapped file may change after load: its bands are bounded again, so that they stay harmless.
      const Band band = p.bands[f];
      const uint32_t first = band.first < x.features ? band.first : 0;
      uint32_t count = band.count < x.features - first ? band.count : x.features - first;
      if (count > left) count = left;
      float sum = 0.0f;
      for (uint32_t k = 0; k < count; ++k) sum = sum + weight[k] * from[first + k];
      weight += count;
      left -= count;
      y.data[row * y.stride + f] = sum < kSmallestNormal && sum > -kSmallestNormal ? 0.0f : sum;
    }
  }
}

constexpr LayerKind make() {
  LayerKind kind = {22, "filterbank", parse, run};
  kind.macs = macs;
  return kind;
}

}  // namespace

extern const LayerKind kFilterbankLayer;
const LayerKind kFilterbankLayer = make();

}  // namespace detail
}  // namespace grucore
