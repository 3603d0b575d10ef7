// Streams: their memory, their state, their reset.
// SPDX-License-Identifier: Apache-2.0
#include "model/stream.h"

#include <string.h>

#include "model/arena.h"

namespace grucore {

namespace detail {
namespace {

constexpr uint32_t kMaxBatch = 1u << 24;
constexpr uint32_t kMaxBlock = 1u << 28;

Status check_options(const StreamOptions& options) {
  if (options.batch < 1 || options.batch > kMaxBatch || options.block < 1 || options.block > kMaxBlock) {
    return Status::kBadArgument;
  }
  // Rows of a block are counted in 32 bits.
  if (uint64_t{options.batch} * options.block > 0xffffffffu) return Status::kTooLarge;
  return Status::kOk;
}

// Rows are padded to whole panels, which kernels read and write beyond the features.
size_t padded(uint32_t features) { return round_up(features, kPanel); }

uint64_t floats_of(const Value& value, const StreamOptions& options) {
  const uint64_t rows = uint64_t{options.batch} * (value.rate == Rate::kFrame ? options.block : 1);
  return rows * padded(value.features);
}

Stream* carve_stream(const Model* model, const StreamOptions& options, Arena* arena, bool measuring) {
  const uint64_t rows = uint64_t{options.batch} * options.block;
  Stream* stream = arena->take<Stream>(1);
  ValueBuffer* values = arena->take<ValueBuffer>(model->value_count);
  NodeMemory* nodes = arena->take<NodeMemory>(model->node_count);
  Rows* rows_at = arena->take<Rows>(options.block);
  uint32_t* row_lists = arena->take<uint32_t>(rows);
  uint32_t* block_rows = arena->take<uint32_t>(rows);
  FrameFate* fates = arena->take<FrameFate>(rows);
  FrameFate* last_fates = arena->take<FrameFate>(options.batch);
  for (uint32_t i = 0; i < model->node_count; ++i) {
    const Node& node = model->nodes[i];
    const size_t stride = padded(node.state_size);
    float* state = arena->take<float>(stride * uint64_t{options.batch});
    float* scratch = arena->take<float>(node.kind->scratch_floats(node.params, options.batch, options.block));
    if (!measuring) nodes[i] = {state, stride, scratch};
  }
  for (uint32_t i = 0; i < model->value_count; ++i) {
    const Value& value = model->values[i];
    float* data = arena->take<float>(floats_of(value, options));
    if (!measuring) values[i] = {data, padded(value.features), value.features};
  }
  if (!measuring) {
    *stream = {model, values, nodes, rows_at, row_lists, block_rows, fates, last_fates, options.batch, options.block, 0,
               options.nonfinite};
  }
  return stream;
}

void clear_row(const Stream* stream, uint32_t row) {
  for (uint32_t i = 0; i < stream->model->node_count; ++i) {
    const NodeMemory& memory = stream->nodes[i];
    if (memory.state_stride) memset(memory.state + row * memory.state_stride, 0, memory.state_stride * sizeof(float));
  }
}

}  // namespace

void collect_rows(Stream* stream, uint32_t frames, Block* work) {
  const uint32_t batch = stream->batch;
  uint32_t taken = 0;
  for (uint32_t frame = 0; frame < frames; ++frame) {
    const size_t first = size_t{frame} * batch;
    uint32_t* list = stream->row_lists + first;
    uint32_t count = 0;
    for (uint32_t row = 0; row < batch; ++row) {
      if (stream->fates[first + row] != FrameFate::kTaken) continue;
      list[count++] = row;
      stream->block_rows[taken++] = static_cast<uint32_t>(first) + row;
    }
    stream->rows_at[frame] = {count == batch ? nullptr : list, count};
  }
  const bool all = taken == frames * batch;
  *work = {stream->model->table, stream->values, batch, frames, stream->rows_at, {all ? nullptr : stream->block_rows, taken}};
}

void run_nodes(const Stream* stream, const Block& work, bool per_sequence) {
  const Model& model = *stream->model;
  for (uint32_t i = 0; i < model.node_count; ++i) {
    const Node& node = model.nodes[i];
    if ((model.values[node.inputs[0]].rate == Rate::kSequence) != per_sequence) continue;
    node.kind->run(node, stream->nodes[i], work);
  }
}

Block sequence_block(const Stream* stream, const Rows* rows) {
  return {stream->model->table, stream->values, stream->batch, 1, rows, *rows};
}

void fill(void* row, uint32_t features, uint32_t bits) {
  unsigned char* at = static_cast<unsigned char*>(row);
  for (uint32_t i = 0; i < features; ++i) memcpy(at + size_t{i} * 4, &bits, 4);
}

}  // namespace detail

Status plan_stream(const Model* model, const StreamOptions& options, MemoryPlan* plan) {
  GRUCORE_TRY(detail::check_options(options));
  detail::Arena arena;
  detail::carve_stream(model, options, &arena, true);
  if (arena.overflown()) return Status::kTooLarge;
  plan->bytes = arena.used();
  return Status::kOk;
}

Status init_stream(const Model* model, const StreamOptions& options, void* memory, size_t bytes, Stream** out) {
  MemoryPlan plan;
  GRUCORE_TRY(plan_stream(model, options, &plan));
  if (!detail::is_aligned(memory)) return Status::kMisalignedMemory;
  if (bytes < plan.bytes) return Status::kArenaTooSmall;
  memset(memory, 0, plan.bytes);
  detail::Arena arena(memory);
  *out = detail::carve_stream(model, options, &arena, false);
  return Status::kOk;
}

void reset(Stream* stream) noexcept {
  for (uint32_t row = 0; row < stream->batch; ++row) detail::clear_row(stream, row);
}

void reset_rows(Stream* stream, const uint32_t* rows, uint32_t count) noexcept {
  for (uint32_t i = 0; i < count; ++i) detail::clear_row(stream, rows[i]);
}

void get_state(const Stream* stream, uint32_t state, uint32_t row, float* out) noexcept {
  const uint32_t node = stream->model->state_nodes[state];
  const detail::NodeMemory& memory = stream->nodes[node];
  memcpy(out, memory.state + row * memory.state_stride, stream->model->nodes[node].state_size * sizeof(float));
}

void set_state(Stream* stream, uint32_t state, uint32_t row, const float* values) noexcept {
  const uint32_t node = stream->model->state_nodes[state];
  const detail::NodeMemory& memory = stream->nodes[node];
  float* to = memory.state + row * memory.state_stride;
  memset(to, 0, memory.state_stride * sizeof(float));  // a NaN in the padding would stay there
  // The same border as an input's: denormals become zero.
  (void)stream->model->table->copy_in(to, values, stream->model->nodes[node].state_size);
}

uint32_t take_flags(Stream* stream) noexcept {
  const uint32_t flags = stream->flags;
  stream->flags = 0;
  return flags;
}

}  // namespace grucore
