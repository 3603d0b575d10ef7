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

void run_frame_nodes(Stream* stream, uint32_t frames) {
  const Model& model = *stream->model;
  const uint32_t pass = stream->pass++;
  for (uint32_t i = 0; i < model.node_count; ++i) {
    const Node& node = model.nodes[i];
    const Value& in = model.values[node.inputs[0]];
    if (in.rate == Rate::kSequence) continue;
    node.kind->run(node, stream->nodes[i],
                   {model.table, stream->values, stream->batch, frames, pass, stream->timetables[in.clock],
                    stream->timetables[model.values[node.output].clock]});
  }
}

void run_sequence_nodes(const Stream* stream, const Rows& rows) {
  const Model& model = *stream->model;
  const Timetable once = {&rows, &rows};
  const Block work = {model.table, stream->values, stream->batch, 1, 0, once, once};
  for (uint32_t i = 0; i < model.node_count; ++i) {
    const Node& node = model.nodes[i];
    if (model.values[node.inputs[0]].rate == Rate::kSequence) node.kind->run(node, stream->nodes[i], work);
  }
}

void fill(void* row, uint32_t features, uint32_t bits) {
  unsigned char* at = static_cast<unsigned char*>(row);
  for (uint32_t i = 0; i < features; ++i) memcpy(at + size_t{i} * 4, &bits, 4);
}

}  // namespace detail
}  // namespace grucore
