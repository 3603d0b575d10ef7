// Convolution over time: causal with carried history, or with a look ahead over whole sequences.
//
// Each output frame is the product of the weights with its window of input frames laid side by side, oldest
// tap first, so it is the dense layer's product and its order of sums.
// SPDX-License-Identifier: Apache-2.0
#include "layers/weights.h"
#include "layers/window.h"

namespace grucore {
namespace detail {

namespace {

struct ConvParams {
  PackedWeights weight;  // of the first group
  const float* bias;
  Activation activation;
  float input_range;
  uint32_t taps, dilation, groups;
  uint32_t history;  // input frames before the newest one of a window
  uint32_t ahead;    // frames after the sequence that a window may reach
  uint32_t channels_in, channels_out;
};

const ConvParams& of(const void* params) { return *static_cast<const ConvParams*>(params); }

Status parse(const NodeSource& source, void* out) {
  ConvParams& params = *new_params<ConvParams>(out);
  GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  GRUCORE_TRY(source.expect_float32(source.result()));
  GRUCORE_TRY(source.expect_attributes(9));
  uint32_t fields[6] = {};  // taps, dilation, stride, groups, before, after
  for (uint32_t i = 0; i < 6; ++i) {
    GRUCORE_TRY(source.attribute(i, i == 3 ? kMaxFeatures : kMaxTaps, &fields[i]));
    if (i < 4 && fields[i] == 0)
      return source.reader.refuse(Status::kBadAttribute, source.attribute_offset + 4 * i, 0, 1);
  }
  GRUCORE_TRY(source.activation(6, kActivationCount, &params.activation));
  const uint64_t reach = uint64_t{fields[1]} * (fields[0] - 1);
  if (reach > kMaxSkip) return source.refuse_wide(Status::kBadAttribute, reach, kMaxSkip);
  const uint64_t history = reach * source.input(0).features;
  if (history > kMaxHistory) return source.refuse_wide(Status::kBadAttribute, history, kMaxHistory);
  if (fields[4] > reach) return source.refuse_wide(Status::kBadAttribute, fields[4], reach);
  if (fields[5] > 0 && fields[4] + uint64_t{fields[5]} != reach) {
    return source.refuse_wide(Status::kBadAttribute, fields[4] + uint64_t{fields[5]}, reach);
  }
  params.taps = fields[0];
  params.dilation = fields[1];
  params.groups = fields[3];
  params.history = static_cast<uint32_t>(reach);
  params.ahead = fields[5];
  params.channels_in = source.input(0).features;
  params.channels_out = source.result().features;
  if (params.channels_in % params.groups || params.channels_out % params.groups) {
    return source.refuse(Status::kBadShape, params.channels_out, params.groups);
  }
  GRUCORE_TRY(expect_window_clock(source, params.history - fields[4] - fields[5], fields[2]));
  const uint64_t columns = uint64_t{params.taps} * (params.channels_in / params.groups);
  if (columns > kMaxFeatures) return source.refuse_wide(Status::kBadShape, columns, kMaxFeatures);
  const uint32_t rows = params.channels_out / params.groups;
  PanelWeights bias;
  uint32_t tensors = 1;
  const WeightShape shape = {1, rows, params.channels_in / params.groups, params.taps, params.groups};
  GRUCORE_TRY(parse_weights(source, {Role::kWeight, Role::kWeightScale}, shape, &params.weight, &tensors));
  GRUCORE_TRY(parse_input_range(source, params.weight, &params.input_range, &tensors));
  GRUCORE_TRY(source.expect_tensors(tensors));
  GRUCORE_TRY(source.panels(Role::kBias, 1, rows, 0, &bias, params.groups));
  params.bias = bias.data;
  return Status::kOk;
}

bool reads_future(const void* params) { return of(params).ahead > 0; }
uint32_t states(const void* params, StateSpec* out) {
  return history_state(of(params).history, of(params).channels_in, out);
}
uint32_t window(const ConvParams& p) { return p.weight.inputs * p.weight.taps; }  // numbers of one group
uint64_t macs(const void* params) { return uint64_t{of(params).channels_out} * window(of(params)); }
uint32_t products(const void* params) { return products_of(of(params).weight); }

// Scratch: the frames of one row with its history before and zeros after, then the windows of all rows of
// the block, then the outputs of one group, then what its product needs.
struct Scratch {
  uint64_t frames, windows, outputs, product, end;
  size_t window_stride, output_stride;
};

Scratch lay_out(const ConvParams& p, uint32_t batch, uint32_t frames) {
  Scratch at;
  at.window_stride = round_up(window(p), kPanel);
  at.output_stride = p.groups > 1 ? round_up(p.weight.rows, kPanel) : 0;
  const uint64_t rows = uint64_t{batch} * frames;
  at.frames = 0;
  at.windows = align_up((uint64_t{p.history} + frames + p.ahead) * p.channels_in, kPanel);
  at.outputs = at.windows + rows * at.window_stride * p.groups;
  at.product = at.outputs + rows * at.output_stride;
  at.end = at.product + product_scratch(p.weight, rows);
  return at;
}

uint64_t scratch_floats(const void* params, const KernelTable&, uint32_t batch, uint32_t frames) {
  return lay_out(of(params), batch, frames).end;
}

// The window of `taps` frames whose oldest one is frames[first], group by group.
void lay_window(const ConvParams& p, const Scratch& at, const float* frames, size_t first, float* windows) {
  const uint32_t width = p.channels_in / p.groups;
  for (uint32_t g = 0; g < p.groups; ++g) {
    float* to = windows + g * at.window_stride;
    for (uint32_t tap = 0; tap < p.taps; ++tap) {
      const float* from = frames + (first + size_t{tap} * p.dilation) * p.channels_in + size_t{g} * width;
      memcpy(to + size_t{tap} * width, from, size_t{width} * sizeof(float));
    }
  }
}

// Lays out all windows of one row of the batch and moves its history on.
void lay_row(const ConvParams& p, const Scratch& at, const NodeMemory& memory, const Block& block, const ValueBuffer& x,
             uint32_t row) {
  float* frames = memory.scratch + at.frames;
  const size_t count = lay_frames(memory, block, x, row, p.history, frames);
  memset(frames + count * p.channels_in, 0, size_t{p.ahead} * p.channels_in * sizeof(float));
  size_t newest = p.history;
  for (uint32_t frame = 0; frame < block.frames; ++frame) {
    if (!has_row(block.in.at[frame], row)) continue;
    if (has_row(block.out.at[frame], row)) {
      float* windows = memory.scratch + at.windows + (size_t{frame} * block.batch + row) * at.window_stride * p.groups;
      lay_window(p, at, frames, newest + p.ahead - p.history, windows);
    }
    ++newest;
  }
}

void multiply(const ConvParams& p, const Scratch& at, const NodeMemory& memory, const Block& block,
              const ValueBuffer& y) {
  const size_t group_rows = padded_rows(p.weight.rows);
  for (uint32_t g = 0; g < p.groups; ++g) {
    const PackedWeights weight = group_of(p.weight, g);
    const BiasedProduct product = {weight, p.bias + g * group_rows, p.activation, p.input_range,
                                   memory.scratch + at.product};
    const ConstMatrix windows = {memory.scratch + at.windows + g * at.window_stride, at.window_stride * p.groups};
    const Matrix out = p.groups > 1 ? Matrix{memory.scratch + at.outputs, at.output_stride} : Matrix{y.data, y.stride};
    multiply_and_activate(*block.table, product, windows, out, *block.out.all);
    if (p.groups == 1) return;
    for (uint32_t i = 0; i < block.out.all->count; ++i) {
      const size_t row = row_of(*block.out.all, i);
      memcpy(y.data + row * y.stride + size_t{g} * p.weight.rows, out.data + row * out.stride,
             size_t{p.weight.rows} * sizeof(float));
    }
  }
}

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const ConvParams& p = node.as<ConvParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const Scratch at = lay_out(p, block.batch, block.frames);
  for (uint32_t row = 0; row < block.batch; ++row) lay_row(p, at, memory, block, x, row);
  multiply(p, at, memory, block, block.values[node.output]);
}

constexpr LayerKind make() {
  LayerKind kind = {15, "conv1d", parse, run};
  kind.reads_future = reads_future;
  kind.macs = macs;
  kind.products = products;
  kind.states = states;
  kind.scratch_floats = scratch_floats;
  return kind;
}

}  // namespace

extern const LayerKind kConv1dLayer;
const LayerKind kConv1dLayer = make();

}  // namespace detail
}  // namespace grucore
