// The shared part of layers that look back over a window of frames: clocks, and frames with a history.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_LAYERS_WINDOW_H_
#define GRUCORE_LAYERS_WINDOW_H_

#include <string.h>

#include "layers/layer.h"

namespace grucore {
namespace detail {

constexpr uint32_t kMaxTaps = 65536;                 // and the most of a dilation and a stride
constexpr uint64_t kMaxHistory = uint64_t{1} << 28;  // floats that a row carries

// The result comes once for `stride` values of the input, after the first `lost` of them.
inline Status expect_window_clock(const NodeSource& source, uint32_t lost, uint32_t stride) {
  const Value& x = source.input(0);
  const Value& y = source.result();
  if (x.rate == Rate::kSequence || y.rate == Rate::kSequence) return source.refuse(Status::kBadShape, 2, 0);
  const uint64_t period = uint64_t{x.period} * stride;
  if (y.period != period) return source.refuse_wide(Status::kBadShape, y.period, period);
  const uint64_t skip = x.skip + uint64_t{lost} * x.period;
  return y.skip == skip ? Status::kOk : source.refuse_wide(Status::kBadShape, y.skip, skip);
}

// The frames that a layer looks back over, as its state.
inline uint32_t history_state(uint32_t frames, uint32_t channels, StateSpec* out) {
  *out = {".history", frames, channels, true, nullptr};
  return frames ? 1 : 0;
}

inline bool has_row(const Rows& rows, uint32_t row) {  // ascending
  if (!rows.index) return true;
  uint32_t low = 0, high = rows.count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (rows.index[middle] < row) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < rows.count && rows.index[low] == row;
}

// Puts the `history` frames of a row before the block, then its own, at `to`, and keeps the last ones as the
// history of the next block. Returns the frames at `to`.
inline size_t lay_frames(const NodeMemory& memory, const Block& block, const ValueBuffer& x, uint32_t row,
                         uint32_t history, float* to) {
  const size_t frame_bytes = size_t{x.features} * sizeof(float);
  float* past = history ? memory.state + row * memory.state_stride : nullptr;
  if (history) memcpy(to, past, history * frame_bytes);
  size_t count = history;
  for (uint32_t frame = 0; frame < block.frames; ++frame) {
    if (!has_row(block.in.at[frame], row)) continue;
    memcpy(to + count++ * x.features, x.data + (size_t{frame} * block.batch + row) * x.stride, frame_bytes);
  }
  if (history) memcpy(past, to + (count - history) * x.features, history * frame_bytes);
  return count;
}

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_LAYERS_WINDOW_H_
