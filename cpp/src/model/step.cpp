// One frame through all nodes.
// SPDX-License-Identifier: Apache-2.0
#include "isa/float_mode.h"
#include "model/stream.h"

namespace grucore {

namespace detail {
namespace {

// Brings one frame in; true if a value of it was not finite.
bool take_in(const Stream* stream, const void* const* inputs, uint32_t row) {
  const Model& model = *stream->model;
  bool bad = false;
  for (uint32_t i = 0; i < model.input_count; ++i) {
    const size_t element = size_t{row} * stream->values[model.inputs[i]].features;
    bad |= bring_in(stream, i, row, static_cast<const unsigned char*>(inputs[i]) + element * 4);
  }
  return bad;
}

bool give_out(const Stream* stream, void* const* outputs, uint32_t row, bool held) {
  const Model& model = *stream->model;
  bool bad = false;
  for (uint32_t i = 0; i < model.output_count; ++i) {
    const ValueBuffer& buffer = stream->values[model.outputs[i]];
    float* to = static_cast<float*>(outputs[i]) + size_t{row} * buffer.features;
    if (held) {
      fill(to, buffer.features, kNanBits);
    } else {
      bad |= model.table->copy_out(to, buffer.data + row * buffer.stride, buffer.features);
    }
  }
  return bad;
}

uint64_t step_some(Stream* stream, const void* const* inputs, void* const* outputs, const Rows& rows) {
  const Model& model = *stream->model;
  if (model.first_unstreamable != kNone) return 0;
  const FloatMode mode;
  Rows taking = rows;
  bool bad = false;
  if (stream->nonfinite == Nonfinite::kPropagate) {
    for (uint32_t i = 0; i < rows.count; ++i) bad |= take_in(stream, inputs, row_of(rows, i));
  } else {
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows.count; ++i) {
      const uint32_t row = row_of(rows, i);
      const bool held = take_in(stream, inputs, row);
      bad |= held;
      stream->fates[row] = held ? FrameFate::kHeld : FrameFate::kTaken;
      if (!held) stream->row_lists[count++] = row;
    }
    if (count != rows.count) taking = {stream->row_lists, count};
  }
  const Block work = {model.table, stream->values, stream->batch, 1, &taking, taking};
  for (uint32_t i = 0; i < model.node_count; ++i) model.nodes[i].kind->run(model.nodes[i], stream->nodes[i], work);
  bool overflown = false;
  for (uint32_t i = 0; i < rows.count; ++i) {
    const uint32_t row = row_of(rows, i);
    const bool held = stream->nonfinite == Nonfinite::kHold && stream->fates[row] == FrameFate::kHeld;
    overflown |= give_out(stream, outputs, row, held);
  }
  stream->flags |= (bad ? kFlagNonfiniteInput : 0) | (overflown ? kFlagNonfiniteOutput : 0);
  return model.output_count == 64 ? ~uint64_t{0} : (uint64_t{1} << model.output_count) - 1;
}

}  // namespace
}  // namespace detail

uint64_t step(Stream* stream, const void* const* inputs, void* const* outputs) noexcept {
  return detail::step_some(stream, inputs, outputs, {nullptr, stream->batch});
}

uint64_t step_rows(Stream* stream, const void* const* inputs, void* const* outputs, const uint32_t* rows,
                   uint32_t count) noexcept {
  return detail::step_some(stream, inputs, outputs, {rows, count});
}

}  // namespace grucore
