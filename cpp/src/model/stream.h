// A stream in memory: the state of every row, and the buffers that step and run work in.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_MODEL_STREAM_H_
#define GRUCORE_MODEL_STREAM_H_

#include "layers/layer.h"
#include "model/model.h"

namespace grucore {

namespace detail {

// The fate of one frame of one row.
enum class FrameFate : uint8_t {
  kTaken = 0,
  kPastEnd = 1,  // its sequence was over: outputs are 0
  kHeld = 2,     // not finite, and skipped: outputs are NaN
};

// One frame of a plain stream of one row; firmware takes the way of all others.
template <bool kHas>
struct OneFrame {
  bool is_ready;
  Rows row;
  ValueBuffer in, out;
  Block block;
};
template <>
struct OneFrame<false> {};

}  // namespace detail

struct Stream {
  const Model* model;
  detail::ValueBuffer* values;    // of each value
  detail::ValueBuffer* in_loops;  // of each value, as nodes of loops see it: one frame
  detail::NodeMemory* nodes;      // of each node
  detail::Timetable* timetables;  // of each clock, for the block at hand
  detail::Rows* rows_at;          // (clock, block)
  detail::Rows* rows_of_block;    // (clock)
  uint32_t* row_lists;            // (clock, block, batch): rows of the batch that take part, where not all do
  uint32_t* block_rows;           // (clock, block x batch): the same as rows of a block
  uint64_t* frames_seen;          // (batch): since the start of the stream
  detail::FrameFate* fates;       // (block, batch)
  detail::FrameFate* last_fates;  // (batch): of the last frame of a call of run
  uint32_t batch;
  uint32_t block;
  uint32_t flags;
  uint32_t pass;  // blocks so far
  Nonfinite nonfinite;
  bool is_plain;  // steps have a short way, and blocks, if the output has a value for each frame
  detail::OneFrame<detail::kHasFusedSteps> one;
};

}  // namespace grucore

#endif  // GRUCORE_MODEL_STREAM_H_
