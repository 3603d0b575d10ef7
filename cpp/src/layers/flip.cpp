// Sequences turned around in time, each within its own length.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

Status parse(const NodeSource& source, void*) {
  GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_same_clock(0));
  if (source.input(0).rate == Rate::kSequence) return source.refuse(Status::kBadShape, 2, 0);
  const uint32_t features = source.result().features;
  if (source.input(0).features != features) return source.refuse(Status::kBadShape, source.input(0).features, features);
  GRUCORE_TRY(source.expect_attributes(0));
  return source.expect_tensors(0);
}

bool reads_future(const void*) { return true; }

// For each row of the batch: how many of its frames have been passed. Kept in the place of floats.
uint64_t scratch_floats(const void*, const KernelTable&, uint32_t batch, uint32_t frames) {
  return uint64_t{batch} * frames + batch;
}

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  uint32_t* counts = reinterpret_cast<uint32_t*>(memory.scratch);
  uint32_t* frames_of = counts + block.batch;  // (batch, frames): the frames of each row that have a value
  memset(counts, 0, size_t{block.batch} * sizeof(uint32_t));
  for (uint32_t frame = 0; frame < block.frames; ++frame) {
    const Rows& rows = block.in.at[frame];
    for (uint32_t i = 0; i < rows.count; ++i) {
      const uint32_t row = row_of(rows, i);
      frames_of[size_t{row} * block.frames + counts[row]++] = frame;
    }
  }
  for (uint32_t row = 0; row < block.batch; ++row) {
    const uint32_t* frames = frames_of + size_t{row} * block.frames;
    for (uint32_t i = 0; i < counts[row]; ++i) {
      const size_t to = size_t{frames[i]} * block.batch + row;
      const size_t from = size_t{frames[counts[row] - 1 - i]} * block.batch + row;
      memcpy(y.data + to * y.stride, x.data + from * x.stride, size_t{x.features} * sizeof(float));
    }
  }
}

constexpr LayerKind make() {
  LayerKind kind = {14, "flip", parse, run};
  kind.reads_future = reads_future;
  kind.hands_on_ids = true;
  kind.scratch_floats = scratch_floats;
  return kind;
}

}  // namespace

extern const LayerKind kFlipLayer;
const LayerKind kFlipLayer = make();

}  // namespace detail
}  // namespace grucore
