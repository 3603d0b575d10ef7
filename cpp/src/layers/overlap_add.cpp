// Frames of samples, which overlap, times a window and added up: a hop of samples out.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

struct OverlapAddParams {
  const float* window;
  uint32_t samples;  // of a frame
  uint32_t hop;
};

const OverlapAddParams& of(const void* params) { return *static_cast<const OverlapAddParams*>(params); }

Status parse(const NodeSource& source, void* out) {
  OverlapAddParams& params = *new_params<OverlapAddParams>(out);
  GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  GRUCORE_TRY(source.expect_same_clock(0));
  GRUCORE_TRY(source.expect_attributes(1));
  if (source.result().rate == Rate::kSequence) return source.refuse(Status::kBadShape, 2, 0);
  params.samples = source.input(0).features;
  GRUCORE_TRY(source.attribute(0, params.samples, &params.hop));
  if (params.hop == 0) {
    return source.reader.refuse(Status::kBadAttribute, source.attribute_offset, 0, params.samples);
  }
  if (source.result().features != params.hop) {
    return source.refuse(Status::kBadShape, source.result().features, params.hop);
  }
  GRUCORE_TRY(source.expect_tensors(1));
  return source.vector(Role::kWeight, params.samples, &params.window);
}

uint32_t states(const void* params, StateSpec* out) {
  const uint32_t overlap = of(params).samples - of(params).hop;
  *out = {".overlap", 0, overlap, true, nullptr};
  return overlap ? 1 : 0;
}

uint64_t scratch_floats(const void* params, const KernelTable&, uint32_t, uint32_t) { return of(params).samples; }

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const OverlapAddParams& p = node.as<OverlapAddParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  const uint32_t overlap = p.samples - p.hop;
  const FloatKernels& floats = *block.table->floats;
  float* sum = memory.scratch;
  for (uint32_t frame = 0; frame < block.frames; ++frame) {
    const Rows& rows = block.in.at[frame];
    for (uint32_t i = 0; i < rows.count; ++i) {
      const uint32_t row = row_of(rows, i);
      const size_t at = size_t{frame} * block.batch + row;
      floats.binary(BinaryOp::kMultiply, sum, x.data + at * x.stride, p.window, p.samples);
      float* carried = overlap ? memory.state + row * memory.state_stride : nullptr;
      if (carried) floats.binary(BinaryOp::kAdd, sum, carried, sum, overlap);
      memcpy(y.data + at * y.stride, sum, size_t{p.hop} * sizeof(float));
      if (carried) memcpy(carried, sum + p.hop, size_t{overlap} * sizeof(float));
    }
  }
}

constexpr LayerKind make() {
  LayerKind kind = {24, "overlap_add", parse, run};
  kind.states = states;
  kind.scratch_floats = scratch_floats;
  return kind;
}

}  // namespace

extern const LayerKind kOverlapAddLayer;
const LayerKind kOverlapAddLayer = make();

}  // namespace detail
}  // namespace grucore
