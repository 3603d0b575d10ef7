// The shared part of step and run: rows in and out, the rows that take part, and the nodes in order.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_MODEL_EXECUTE_H_
#define GRUCORE_MODEL_EXECUTE_H_

#include <string.h>

#include "model/stream.h"

namespace grucore {
namespace detail {

// Sets the timetables for `frames` frames, the first one `first` after frames_seen, from their fates.
void collect_rows(Stream* stream, uint32_t first, uint32_t frames);

// Runs the nodes that read values per frame over a block of `frames` frames; where the block is the whole sequence, all
// nodes.
void run_frame_nodes(Stream* stream, uint32_t frames);

// Runs the nodes that read values per sequence and have not run yet.
void run_sequence_nodes(const Stream* stream, const Rows& rows);

// Copies one frame of one row into the buffer of input `i`; true if a value was not finite.
inline bool bring_in(const Stream* stream, uint32_t i, size_t buffer_row, const void* from) {
  const Model& model = *stream->model;
  const Value& value = model.values[model.inputs[i]];
  const ValueBuffer& buffer = stream->values[model.inputs[i]];
  float* to = buffer.data + buffer_row * buffer.stride;
  if (value.dtype == Dtype::kFloat32)
    return model.table->floats->copy_in(to, 0, static_cast<const float*>(from), 0, value.features, 1);
  memcpy(to, from, size_t{value.features} * sizeof(int32_t));
  return false;
}

constexpr uint32_t kNanBits = 0x7fc00000u;
constexpr uint32_t kNoId = 0xffffffffu;  // what a held frame gives in an int32 output: -1
void fill(void* row, uint32_t features, uint32_t bits);

// Writes one row of an output, from row `from` of its buffer; true if a value was not finite.
inline bool give_row(const Stream* stream, const Value& value, const ValueBuffer& buffer, size_t from, float* to,
                     FrameFate fate) {
  const bool is_float = value.dtype == Dtype::kFloat32;
  if (fate == FrameFate::kTaken) {
    const float* row = buffer.data + from * buffer.stride;
    if (is_float) return stream->model->table->floats->copy_out(to, 0, row, 0, value.features, 1);
    memcpy(to, row, size_t{value.features} * sizeof(int32_t));
    return false;
  }
  fill(to, value.features, fate == FrameFate::kPastEnd ? 0 : is_float ? kNanBits : kNoId);
  return false;
}

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_MODEL_EXECUTE_H_
