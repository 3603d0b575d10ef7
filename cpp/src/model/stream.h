// A stream in memory: the state of every row, and the buffers that step and run work in.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_MODEL_STREAM_H_
#define GRUCORE_MODEL_STREAM_H_

#include <string.h>

#include "layers/layer.h"
#include "model/model.h"

namespace grucore {

namespace detail {

// What became of one frame of one row.
enum class FrameFate : uint8_t {
  kTaken = 0,
  kPastEnd = 1,  // its sequence was over: outputs are 0
  kHeld = 2,     // not finite, and skipped: outputs are NaN
};

}  // namespace detail

struct Stream {
  const Model* model;
  detail::ValueBuffer* values;  // of each value
  detail::NodeMemory* nodes;    // of each node
  detail::Rows* rows_at;        // of each frame of a block
  uint32_t* row_lists;          // (block, batch): rows of the batch that take part, where not all do
  uint32_t* block_rows;         // (block x batch): the same as rows of a block
  detail::FrameFate* fates;     // (block, batch)
  detail::FrameFate* last_fates;  // (batch): of the last frame of a call of run
  uint32_t batch;
  uint32_t block;
  uint32_t flags;
  Nonfinite nonfinite;
};

namespace detail {

// Sets the rows that take part in `frames` frames from their fates.
void collect_rows(Stream* stream, uint32_t frames, Block* work);

// Runs the nodes of one phase over a block: those that read per-frame values, or those after a `take`.
void run_nodes(const Stream* stream, const Block& work, bool per_sequence);

// The rows of per-sequence values: frames is 1.
Block sequence_block(const Stream* stream, const Rows* rows);

// Copies one frame of one row into the buffer of input `i`; true if a value was not finite.
inline bool bring_in(const Stream* stream, uint32_t i, size_t buffer_row, const void* from) {
  const Model& model = *stream->model;
  const Value& value = model.values[model.inputs[i]];
  const ValueBuffer& buffer = stream->values[model.inputs[i]];
  float* to = buffer.data + buffer_row * buffer.stride;
  if (value.dtype == Dtype::kFloat32) return model.table->copy_in(to, static_cast<const float*>(from), value.features);
  memcpy(to, from, size_t{value.features} * sizeof(int32_t));
  return false;
}

constexpr uint32_t kNanBits = 0x7fc00000u;
void fill(void* row, uint32_t features, uint32_t bits);

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_MODEL_STREAM_H_
