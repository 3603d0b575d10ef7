// The nodes over a block of frames, and the rows that take part in it.
// SPDX-License-Identifier: Apache-2.0
#include "model/execute.h"

namespace grucore {
namespace detail {

void collect_rows(Stream* stream, uint32_t first, uint32_t frames) {
  const Model& model = *stream->model;
  const uint32_t batch = stream->batch;
  for (uint32_t c = 0; c < model.clock_count; ++c) {
    const Clock& clock = model.clocks[c];
    Rows* rows_at = stream->rows_at + size_t{c} * stream->block;
    uint32_t* lists = stream->row_lists + size_t{c} * stream->block * batch;
    uint32_t* all = stream->block_rows + size_t{c} * stream->block * batch;
    uint32_t taken = 0;
    for (uint32_t frame = 0; frame < frames; ++frame) {
      const size_t start = size_t{frame} * batch;
      uint32_t* list = lists + start;
      uint32_t count = 0;
      for (uint32_t row = 0; row < batch; ++row) {
        if (stream->fates[start + row] != FrameFate::kTaken) continue;
        if (c > 0 && !clock.ticks(stream->frames_seen[row] + first + frame)) continue;
        list[count++] = row;
        all[taken++] = static_cast<uint32_t>(start) + row;
      }
      rows_at[frame] = {count == batch ? nullptr : list, count};
    }
    stream->rows_of_block[c] = {taken == frames * batch ? nullptr : all, taken};
    stream->timetables[c] = {rows_at, &stream->rows_of_block[c]};
  }
}

namespace {

// One frame of a value, of all rows, from its block to the loop or back.
void copy_frame(const Stream* stream, uint32_t value, uint32_t frame, bool comes_in) {
  const ValueBuffer& block = stream->values[value];
  const ValueBuffer& looped = stream->in_loops[value];
  const size_t floats = stream->batch * block.stride;
  float* there = block.data + frame * floats;
  if (there == looped.data) return;
  memcpy(comes_in ? looped.data : there, comes_in ? there : looped.data, floats * sizeof(float));
}

void run_loop(const Stream* stream, uint32_t index, uint32_t frames, uint32_t pass) {
  const Model& model = *stream->model;
  const Loop& loop = model.loops[index];
  const Rows* rows_at = stream->timetables[model.values[model.nodes[loop.first].output].clock].at;
  for (uint32_t frame = 0; frame < frames; ++frame) {
    const Timetable now = {rows_at + frame, rows_at + frame};
    const Block work = {model.table, stream->in_loops, stream->batch, 1, pass + frame, now, now};
    for (uint32_t i = loop.first; i <= loop.last; ++i) {
      const Node& node = model.nodes[i];
      for (uint32_t k = 0; k < node.input_count; ++k) {
        if (model.values[node.inputs[k]].loop != index) copy_frame(stream, node.inputs[k], frame, true);
      }
      node.kind->run(node, stream->nodes[i], work);
      if (model.values[node.output].leaves_loop) copy_frame(stream, node.output, frame, false);
    }
    for (uint32_t i = loop.first; i <= loop.last; ++i) {
      if (model.nodes[i].is_fed_back) model.nodes[i].kind->close_frame(model.nodes[i], stream->nodes[i], work);
    }
  }
}

// True if a block is the whole sequence, so that values of the sequence are known within it and nodes per frame may
// read them.
bool is_whole(const Model& model) { return model.first_unstreamable != kNone; }

void run_sequence_node(const Stream* stream, uint32_t i, const Rows& rows) {
  const Model& model = *stream->model;
  const Timetable once = {&rows, &rows};
  model.nodes[i].kind->run(model.nodes[i], stream->nodes[i],
                           {model.table, stream->values, stream->batch, 1, 0, once, once});
}

}  // namespace

void run_frame_nodes(Stream* stream, uint32_t frames) {
  const Model& model = *stream->model;
  const uint32_t pass = stream->pass++;
  for (uint32_t i = 0; i < model.node_count; ++i) {
    const Node& node = model.nodes[i];
    const uint32_t loop = model.values[node.output].loop;
    if (kHasLoops && loop != kNobody) {
      run_loop(stream, loop, frames, pass);
      i = model.loops[loop].last;
      continue;
    }
    const Value& in = model.values[node.inputs[0]];
    if (in.rate == Rate::kSequence) {
      if (is_whole(model)) run_sequence_node(stream, i, {nullptr, stream->batch});
      continue;
    }
    node.kind->run(node, stream->nodes[i],
                   {model.table, stream->values, stream->batch, frames, pass, stream->timetables[in.clock],
                    stream->timetables[model.values[node.output].clock]});
  }
}

void run_sequence_nodes(const Stream* stream, const Rows& rows) {
  const Model& model = *stream->model;
  if (is_whole(model)) return;
  for (uint32_t i = 0; i < model.node_count; ++i) {
    if (model.values[model.nodes[i].inputs[0]].rate == Rate::kSequence) run_sequence_node(stream, i, rows);
  }
}

void fill(void* row, uint32_t features, uint32_t bits) {
  unsigned char* at = static_cast<unsigned char*>(row);
  for (uint32_t i = 0; i < features; ++i) memcpy(at + size_t{i} * 4, &bits, 4);
}

}  // namespace detail
}  // namespace grucore
