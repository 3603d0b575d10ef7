// Blocks of frames, node after node.
// SPDX-License-Identifier: Apache-2.0
#include "isa/float_mode.h"
#include "model/execute.h"

namespace grucore {

namespace detail {
namespace {

struct Part {  // of a call of run
  uint32_t first;
  uint32_t frames;
};

bool take_frame_in(const Stream* stream, const ConstSignal* inputs, size_t buffer_row, uint32_t row, uint32_t frame) {
  bool bad = false;
  for (uint32_t i = 0; i < stream->model->input_count; ++i) {
    const size_t element = row * inputs[i].row_stride + frame * inputs[i].frame_stride;
    bad |= bring_in(stream, i, buffer_row, static_cast<const unsigned char*>(inputs[i].data) + element * 4);
  }
  return bad;
}

void take_in(Stream* stream, const Part& part, const ConstSignal* inputs, const uint32_t* lengths) {
  const uint32_t batch = stream->batch;
  for (uint32_t row = 0; row < batch; ++row) {
    for (uint32_t frame = 0; frame < part.frames; ++frame) {
      const size_t at = size_t{frame} * batch + row;
      if (lengths && part.first + frame >= lengths[row]) {
        stream->fates[at] = FrameFate::kPastEnd;
        continue;
      }
      const bool bad = take_frame_in(stream, inputs, at, row, part.first + frame);
      if (bad) stream->flags |= kFlagNonfiniteInput;
      stream->fates[at] = bad && stream->nonfinite == Nonfinite::kHold ? FrameFate::kHeld : FrameFate::kTaken;
    }
  }
}

// Values per frame of one block, each to its place among the values of the whole call.
void give_out(Stream* stream, const Part& part, const Signal* outputs) {
  const Model& model = *stream->model;
  bool bad = false;
  for (uint32_t i = 0; i < model.output_count; ++i) {
    const Value& value = model.values[model.outputs[i]];
    if (value.rate == Rate::kSequence) continue;
    const ValueBuffer& buffer = stream->values[model.outputs[i]];
    const Clock& clock = model.clocks[value.clock];
    for (uint32_t row = 0; row < stream->batch; ++row) {
      const uint64_t seen = stream->frames_seen[row];
      float* to = static_cast<float*>(outputs[i].data) + row * outputs[i].row_stride +
                  (clock.count(seen + part.first) - clock.count(seen)) * outputs[i].frame_stride;
      for (uint32_t frame = 0; frame < part.frames; ++frame) {
        if (value.clock != 0 && !clock.ticks(seen + part.first + frame)) continue;
        const size_t at = size_t{frame} * stream->batch + row;
        bad |= give_row(stream, value, buffer, at, to, stream->fates[at]);
        to += outputs[i].frame_stride;
      }
    }
  }
  if (bad) stream->flags |= kFlagNonfiniteOutput;
}

// Outputs per sequence, after the last block. A row without frames gives 0, one whose last frame was held
// gives NaN, as a step on that frame does.
void give_sequence_out(Stream* stream, const Signal* outputs, const uint32_t* lengths) {
  const Model& model = *stream->model;
  bool bad = false;
  for (uint32_t i = 0; i < model.output_count; ++i) {
    const Value& value = model.values[model.outputs[i]];
    if (value.rate != Rate::kSequence) continue;
    for (uint32_t row = 0; row < stream->batch; ++row) {
      const FrameFate fate = lengths && lengths[row] == 0 ? FrameFate::kPastEnd : stream->last_fates[row];
      float* to = static_cast<float*>(outputs[i].data) + row * outputs[i].row_stride;
      bad |= give_row(stream, value, stream->values[model.outputs[i]], row, to, fate);
    }
  }
  if (bad) stream->flags |= kFlagNonfiniteOutput;
}

// The fate of each row's last frame so far.
void note_last(Stream* stream, const Part& part, const uint32_t* lengths) {
  for (uint32_t row = 0; row < stream->batch; ++row) {
    const uint32_t end = lengths && lengths[row] < part.first + part.frames ? lengths[row] : part.first + part.frames;
    if (end <= part.first) continue;
    stream->last_fates[row] = stream->fates[size_t{end - 1 - part.first} * stream->batch + row];
  }
}

// A block of a plain stream with a value for each frame, whose rows are all as long as the call.
void run_plain(Stream* stream, const Part& part, const ConstSignal& input, const Signal& output) {
  const Model& model = *stream->model;
  const FloatKernels& floats = *model.table->floats;
  const ValueBuffer& in = stream->values[model.inputs[0]];
  const ValueBuffer& out = stream->values[model.outputs[0]];
  const size_t batch = stream->batch;
  uint32_t bad = 0;
  for (size_t row = 0; row < batch; ++row) {
    const float* from =
        static_cast<const float*>(input.data) + row * input.row_stride + part.first * input.frame_stride;
    if (floats.copy_in(in.data + row * in.stride, batch * in.stride, from, input.frame_stride, in.features,
                       part.frames)) {
      bad |= kFlagNonfiniteInput;
    }
  }
  const Rows everyone = {nullptr, stream->batch};
  for (uint32_t frame = 0; frame < part.frames; ++frame) stream->rows_at[frame] = everyone;
  stream->rows_of_block[0] = {nullptr, part.frames * stream->batch};
  stream->timetables[0] = {stream->rows_at, stream->rows_of_block};
  run_frame_nodes(stream, part.frames);
  for (size_t row = 0; row < batch; ++row) {
    float* to = static_cast<float*>(output.data) + row * output.row_stride + part.first * output.frame_stride;
    if (floats.copy_out(to, output.frame_stride, out.data + row * out.stride, batch * out.stride, out.features,
                        part.frames)) {
      bad |= kFlagNonfiniteOutput;
    }
  }
  stream->flags |= bad;
}

}  // namespace
}  // namespace detail

void run(Stream* stream, uint32_t frames, const ConstSignal* inputs, const Signal* outputs,
         const uint32_t* lengths) noexcept {
  const detail::FloatMode mode;
  if (frames == 0) return;
  const detail::Value& result = stream->model->values[stream->model->outputs[0]];
  const bool is_short = stream->is_plain && !lengths && result.rate != Rate::kSequence;
  detail::Part part = {0, 0};
  for (; part.first < frames; part.first += part.frames) {
    const uint32_t left = frames - part.first;
    part.frames = left < stream->block ? left : stream->block;
    if (is_short) {
      detail::run_plain(stream, part, inputs[0], outputs[0]);
      continue;
    }
    detail::take_in(stream, part, inputs, lengths);
    detail::collect_rows(stream, part.first, part.frames);
    detail::run_frame_nodes(stream, part.frames);
    detail::give_out(stream, part, outputs);
    detail::note_last(stream, part, lengths);
  }
  if (!is_short) {
    detail::run_sequence_nodes(stream, {nullptr, stream->batch});
    detail::give_sequence_out(stream, outputs, lengths);
  }
  for (uint32_t row = 0; row < stream->batch; ++row) stream->frames_seen[row] += lengths ? lengths[row] : frames;
}

}  // namespace grucore
