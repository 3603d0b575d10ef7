// One frame through all nodes.
// SPDX-License-Identifier: Apache-2.0
#include "isa/float_mode.h"
#include "model/execute.h"

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

// Brings the frames of all rows in; `taking` is left with the rows that are not held.
bool take_rows_in(Stream* stream, const void* const* inputs, const Rows& rows, Rows* taking) {
  bool bad = false;
  if (stream->nonfinite == Nonfinite::kPropagate) {
    for (uint32_t i = 0; i < rows.count; ++i) bad |= take_in(stream, inputs, row_of(rows, i));
    return bad;
  }
  uint32_t count = 0;
  for (uint32_t i = 0; i < rows.count; ++i) {
    const uint32_t row = row_of(rows, i);
    const bool held = take_in(stream, inputs, row);
    bad |= held;
    stream->fates[row] = held ? FrameFate::kHeld : FrameFate::kTaken;
    if (!held) stream->row_lists[count++] = row;
  }
  if (count != rows.count) *taking = {stream->row_lists, count};
  return bad;
}

// The timetables of a frame at which some clocks do not tick for some rows.
void set_timetables(Stream* stream, const Rows& taking) {
  const Model& model = *stream->model;
  for (uint32_t c = 1; c < model.clock_count; ++c) {
    uint32_t* list = stream->row_lists + size_t{c} * stream->block * stream->batch;
    uint32_t count = 0;
    for (uint32_t i = 0; i < taking.count; ++i) {
      const uint32_t row = row_of(taking, i);
      if (model.clocks[c].ticks(stream->frames_seen[row])) list[count++] = row;
    }
    Rows* rows = stream->rows_at + size_t{c} * stream->block;
    *rows = {count == stream->batch ? nullptr : list, count};
    stream->timetables[c] = {rows, rows};
  }
  stream->rows_at[0] = taking;
  stream->timetables[0] = {stream->rows_at, stream->rows_at};
}

struct Given {
  uint64_t mask;
  bool bad;
};

Given give_out(const Stream* stream, void* const* outputs, const Rows& rows) {
  const Model& model = *stream->model;
  Given given = {0, false};
  for (uint32_t i = 0; i < model.output_count; ++i) {
    const Value& value = model.values[model.outputs[i]];
    const ValueBuffer& buffer = stream->values[model.outputs[i]];
    for (uint32_t r = 0; r < rows.count; ++r) {
      const uint32_t row = row_of(rows, r);
      if (value.clock != 0 && !model.clocks[value.clock].ticks(stream->frames_seen[row])) continue;
      given.mask |= uint64_t{1} << i;
      const bool held = stream->nonfinite == Nonfinite::kHold && stream->fates[row] == FrameFate::kHeld;
      given.bad |= give_row(stream, value, buffer, row, static_cast<float*>(outputs[i]) + size_t{row} * value.features,
                            held ? FrameFate::kHeld : FrameFate::kTaken);
    }
  }
  return given;
}

void run_nodes(Stream* stream, const Rows* rows) {
  const Model& model = *stream->model;
  const Block work = {model.table, stream->values, stream->batch, 1, stream->pass++, {rows, rows}, {rows, rows}};
  for (uint32_t i = 0; i < model.node_count; ++i) model.nodes[i].kind->run(model.nodes[i], stream->nodes[i], work);
}

// Everything around the layers of a small model counts: one loop over rows that are listed or are not would be 3 % of
// a step of 16 units.
void count_frames(Stream* stream, const Rows& rows) {
  if (rows.index) {
    for (uint32_t i = 0; i < rows.count; ++i) ++stream->frames_seen[rows.index[i]];
  } else {
    for (uint32_t row = 0; row < rows.count; ++row) ++stream->frames_seen[row];
  }
}

struct CopiedRows {
  float* to;
  size_t to_stride;
  const float* from;
  size_t from_stride;
  uint32_t features;
};

// True if one of the numbers was not finite.
template <class Copy>
bool copy_rows(Copy copy, const CopiedRows& of, const Rows& rows) {
  if (!rows.index) return copy(of.to, of.to_stride, of.from, of.from_stride, of.features, rows.count);
  bool bad = false;
  for (uint32_t i = 0; i < rows.count; ++i) {
    const size_t row = rows.index[i];
    bad |= copy(of.to + row * of.to_stride, 0, of.from + row * of.from_stride, 0, of.features, 1);
  }
  return bad;
}

uint64_t step_plain(Stream* stream, const float* x, float* y, const Rows& rows) {
  const Model& model = *stream->model;
  const FloatKernels& floats = *model.table->floats;
  const ValueBuffer& in = stream->values[model.inputs[0]];
  const ValueBuffer& out = stream->values[model.outputs[0]];
  if (copy_rows(floats.copy_in, {in.data, in.stride, x, in.features, in.features}, rows)) {
    stream->flags |= kFlagNonfiniteInput;
  }
  run_nodes(stream, &rows);
  if (copy_rows(floats.copy_out, {y, out.features, out.data, out.stride, out.features}, rows)) {
    stream->flags |= kFlagNonfiniteOutput;
  }
  count_frames(stream, rows);
  return rows.count ? 1 : 0;
}

// One frame of the only row, the call that a stream gets most: what is the same each time stands in `one` already.
// False if the stream has no such frame. A template, so that firmware does not compile it.
template <class Frame>
bool step_one(Stream* stream, Frame* one, const void* const* inputs, void* const* outputs) {
  if constexpr (kHasFusedSteps) {
    if (!one->is_ready) return false;
    const FloatMode mode;
    const Model& model = *stream->model;
    const FloatKernels& floats = *model.table->floats;
    const float* const x = static_cast<const float*>(inputs[0]);
    float* const y = static_cast<float*>(outputs[0]);
    uint32_t bad = floats.copy_in(one->in.data, 0, x, 0, one->in.features, 1) ? kFlagNonfiniteInput : 0;
    one->block.pass = stream->pass++;
    for (uint32_t i = 0; i < model.node_count; ++i) {
      model.nodes[i].kind->run(model.nodes[i], stream->nodes[i], one->block);
    }
    if (floats.copy_out(y, 0, one->out.data, 0, one->out.features, 1)) bad |= kFlagNonfiniteOutput;
    ++*stream->frames_seen;
    stream->flags |= bad;
    return true;
  }
  return false;
}

uint64_t step_some(Stream* stream, const void* const* inputs, void* const* outputs, Rows rows) {
  const Model& model = *stream->model;
  if (model.first_unstreamable != kNone) return 0;
  const FloatMode mode;
  if (stream->is_plain) {
    return step_plain(stream, static_cast<const float*>(inputs[0]), static_cast<float*>(outputs[0]), rows);
  }
  Rows taking;
  taking.index = rows.index;
  taking.count = rows.count;
  const bool bad = take_rows_in(stream, inputs, rows, &taking);
  if (model.clock_count == 1 && model.loop_count == 0) {
    run_nodes(stream, &taking);
  } else {
    set_timetables(stream, taking);
    run_frame_nodes(stream, 1);
    run_sequence_nodes(stream, taking);
  }
  const Given given = give_out(stream, outputs, rows);
  count_frames(stream, rows);
  stream->flags |= (bad ? kFlagNonfiniteInput : 0) | (given.bad ? kFlagNonfiniteOutput : 0);
  return given.mask;
}

}  // namespace
}  // namespace detail

uint64_t step(Stream* stream, const void* const* inputs, void* const* outputs) noexcept {
  if (detail::step_one(stream, &stream->one, inputs, outputs)) return 1;
  return detail::step_some(stream, inputs, outputs, {nullptr, stream->batch});
}

uint64_t step_rows(Stream* stream, const void* const* inputs, void* const* outputs, const uint32_t* rows,
                   uint32_t count) noexcept {
  return detail::step_some(stream, inputs, outputs, {rows, count});
}

}  // namespace grucore
