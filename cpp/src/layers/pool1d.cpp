// Mean or maximum over a window of frames that moves by a stride. Windows lie within the sequence.
// SPDX-License-Identifier: Apache-2.0
#include "layers/window.h"

namespace grucore {
namespace detail {

namespace {

struct Pool1dParams {
  uint32_t taps;
  uint32_t channels;
  bool maximum;
};

const Pool1dParams& of(const void* params) { return *static_cast<const Pool1dParams*>(params); }

Status parse(const NodeSource& source, void* out) {
  Pool1dParams& params = *new_params<Pool1dParams>(out);
  GRUCORE_TRY(source.expect_inputs(1));
  const Value& x = source.input(0);
  const Value& y = source.result();
  GRUCORE_TRY(source.expect_float32(x));
  GRUCORE_TRY(source.expect_float32(y));
  if (x.features != y.features) return source.refuse(Status::kBadShape, y.features, x.features);
  GRUCORE_TRY(source.expect_attributes(3));
  uint32_t fields[3] = {};  // pooling, taps, stride
  for (uint32_t i = 0; i < 3; ++i) {
    GRUCORE_TRY(source.attribute(i, i ? kMaxTaps : 1, &fields[i]));
    if (i && fields[i] == 0) return source.reader.refuse(Status::kBadAttribute, source.attribute_offset + 4 * i, 0, 1);
  }
  const uint32_t lost = fields[1] - 1;
  const uint64_t history = uint64_t{lost} * x.features;
  if (history > kMaxHistory) return source.refuse_wide(Status::kBadAttribute, history, kMaxHistory);
  GRUCORE_TRY(expect_window_clock(source, lost, fields[2]));
  GRUCORE_TRY(source.expect_tensors(0));
  params.taps = fields[1];
  params.channels = x.features;
  params.maximum = fields[0] == 1;
  return Status::kOk;
}

uint32_t history_of(const Pool1dParams& p) { return p.taps - 1; }
uint32_t states(const void* params, StateSpec* out) {
  return history_state(history_of(of(params)), of(params).channels, out);
}

// The frames of one row.
uint64_t scratch_floats(const void* params, const KernelTable&, uint32_t, uint32_t frames) {
  return (uint64_t{history_of(of(params))} + frames) * of(params).channels;
}

void pool(const Pool1dParams& p, const FloatKernels& table, const float* frames, float* y) {
  memcpy(y, frames, size_t{p.channels} * sizeof(float));
  const BinaryOp op = p.maximum ? BinaryOp::kMaximum : BinaryOp::kAdd;
  for (uint32_t tap = 1; tap < p.taps; ++tap) table.binary(op, y, y, frames + size_t{tap} * p.channels, p.channels);
  if (!p.maximum) divide(y, y, static_cast<float>(p.taps), p.channels);
}

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const Pool1dParams& p = node.as<Pool1dParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  for (uint32_t row = 0; row < block.batch; ++row) {
    lay_frames(memory, block, x, row, history_of(p), memory.scratch);
    const float* oldest = memory.scratch;
    for (uint32_t frame = 0; frame < block.frames; ++frame) {
      if (!has_row(block.in.at[frame], row)) continue;
      if (has_row(block.out.at[frame], row)) {
        pool(p, *block.table->floats, oldest, y.data + (size_t{frame} * block.batch + row) * y.stride);
      }
      oldest += p.channels;
    }
  }
}

constexpr LayerKind make() {
  LayerKind kind = {16, "pool1d", parse, run};
  kind.states = states;
  kind.scratch_floats = scratch_floats;
  return kind;
}

}  // namespace

extern const LayerKind kPool1dLayer;
const LayerKind kPool1dLayer = make();

}  // namespace detail
}  // namespace grucore
