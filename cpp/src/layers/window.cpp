// A hop of samples in, the newest samples times a window out.
// SPDX-License-Identifier: Apache-2.0
#include "layers/window.h"

namespace grucore {
namespace detail {

namespace {

struct WindowParams {
  const float* window;
  float emphasis;    // what of the sample before is taken away from each
  uint32_t samples;  // of the window
  uint32_t hop;
  uint32_t delay;    // samples that came after the window's last one
  uint32_t history;  // samples before a hop that are looked at
};

const WindowParams& of(const void* params) { return *static_cast<const WindowParams*>(params); }

Status parse(const NodeSource& source, void* out) {
  WindowParams& params = *new_params<WindowParams>(out);
  GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  GRUCORE_TRY(source.expect_float32(source.result()));
  GRUCORE_TRY(source.expect_attributes(3));
  uint32_t lost = 0;
  GRUCORE_TRY(source.attribute(0, kMaxTaps, &params.delay));
  GRUCORE_TRY(source.attribute(1, kMaxTaps, &lost));
  memcpy(&params.emphasis, &source.attributes[2], sizeof params.emphasis);
  if (!(params.emphasis >= 0 && params.emphasis <= 1)) {
    return source.reader.refuse(Status::kBadAttribute, source.attribute_offset + 8, source.attributes[2], 0x3f800000);
  }
  GRUCORE_TRY(expect_window_clock(source, lost, 1));
  params.samples = source.result().features;
  params.hop = source.input(0).features;
  const uint32_t reach = params.samples + params.delay + (source.attributes[2] != 0 ? 1 : 0);
  params.history = reach > params.hop ? reach - params.hop : 0;
  GRUCORE_TRY(source.expect_tensors(1));
  return source.vector(Role::kWeight, params.samples, &params.window);
}

uint32_t states(const void* params, StateSpec* out) {
  *out = {".history", 0, of(params).history, true, nullptr};
  return of(params).history ? 1 : 0;
}

// The samples of one row with those before, then a window's before it is multiplied.
uint64_t scratch_floats(const void* params, const KernelTable&, uint32_t, uint32_t frames) {
  return of(params).history + uint64_t{frames} * of(params).hop + of(params).samples;
}

void run_row(const WindowParams& p, const NodeMemory& memory, const Block& block, const ValueBuffer& x,
             const ValueBuffer& y, uint32_t row) {
  float* emphasized = memory.scratch;
  float* samples = emphasized + p.samples;
  float* past = p.history ? memory.state + row * memory.state_stride : nullptr;
  if (past) memcpy(samples, past, size_t{p.history} * sizeof(float));
  float* end = samples + p.history;
  for (uint32_t frame = 0; frame < block.frames; ++frame) {
    if (!has_row(block.in.at[frame], row)) continue;
    const size_t at = size_t{frame} * block.batch + row;
    memcpy(end, x.data + at * x.stride, size_t{p.hop} * sizeof(float));
    end += p.hop;
    if (!has_row(block.out.at[frame], row)) continue;
    const float* newest = end - p.delay - p.samples;
    if (p.emphasis != 0) {
      for (uint32_t i = 0; i < p.samples; ++i) emphasized[i] = newest[i] - p.emphasis * (newest + i)[-1];
      newest = emphasized;
    }
    block.table->floats->binary(BinaryOp::kMultiply, y.data + at * y.stride, newest, p.window, p.samples);
  }
  if (past) memcpy(past, end - p.history, size_t{p.history} * sizeof(float));
}

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const WindowParams& p = node.as<WindowParams>();
  for (uint32_t row = 0; row < block.batch; ++row) {
    run_row(p, memory, block, block.values[node.inputs[0]], block.values[node.output], row);
  }
}

constexpr LayerKind make() {
  LayerKind kind = {20, "window", parse, run};
  kind.states = states;
  kind.scratch_floats = scratch_floats;
  return kind;
}

}  // namespace

extern const LayerKind kWindowLayer;
const LayerKind kWindowLayer = make();

}  // namespace detail
}  // namespace grucore
