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
  const uint64_t rows = uint64_t{options.batch} * (value.rate == Rate::kSequence ? 1 : options.block);
  return rows * padded(value.features);
}

// One input and one output, of floats, whose clock is that of the input; no loop.
bool is_plain(const Model& model, Nonfinite nonfinite) {
  return model.clock_count == 1 && model.loop_count == 0 && model.input_count == 1 && model.output_count == 1 &&
         nonfinite == Nonfinite::kPropagate && model.values[model.inputs[0]].dtype == Dtype::kFloat32 &&
         model.values[model.outputs[0]].dtype == Dtype::kFloat32;
}

Stream* carve_stream(const Model* model, const StreamOptions& options, Arena* arena, bool measuring) {
  const uint64_t rows = uint64_t{options.batch} * options.block;
  const uint32_t clocks = model->clock_count;
  Stream* stream = arena->take<Stream>(1);
  ValueBuffer* values = arena->take<ValueBuffer>(model->value_count);
  ValueBuffer* in_loops = arena->take<ValueBuffer>(kHasLoops && model->loop_count ? model->value_count : 0);
  NodeMemory* nodes = arena->take<NodeMemory>(model->node_count);
  Timetable* timetables = arena->take<Timetable>(clocks);
  Rows* rows_at = arena->take<Rows>(uint64_t{clocks} * options.block);
  Rows* rows_of_block = arena->take<Rows>(clocks);
  uint32_t* row_lists = arena->take<uint32_t>(clocks * rows);
  uint32_t* block_rows = arena->take<uint32_t>(clocks * rows);
  uint64_t* frames_seen = arena->take<uint64_t>(options.batch);
  FrameFate* fates = arena->take<FrameFate>(rows);
  FrameFate* last_fates = arena->take<FrameFate>(options.batch);
  for (uint32_t i = 0; i < model->node_count; ++i) {
    const Node& node = model->nodes[i];
    float* state = arena->take<float>(node.state_stride * uint64_t{options.batch});
    float* scratch = arena->take<float>(
        node.kind->scratch_floats ? node.kind->scratch_floats(node.params, *model->table, options.batch, options.block)
                                  : 0);
    unsigned char* plan = arena->take<unsigned char>(node.kind->plan_bytes);
    if (!measuring) nodes[i] = {state, node.state_stride, scratch, plan};
  }
  for (uint32_t i = 0; i < model->value_count; ++i) {
    const Value& value = model->values[i];
    float* data = arena->take<float>(floats_of(value, options));
    if (!measuring) values[i] = {data, padded(value.features), value.features};
  }
  for (uint32_t i = 0; kHasLoops && model->loop_count && i < model->value_count; ++i) {
    const Value& value = model->values[i];
    const bool is_apart = value.is_looped && options.block > 1;
    float* data = arena->take<float>(is_apart ? padded(value.features) * uint64_t{options.batch} : 0);
    if (!measuring) in_loops[i] = is_apart ? ValueBuffer{data, padded(value.features), value.features} : values[i];
  }
  if (!measuring) {
    *stream = {model,
               values,
               in_loops,
               nodes,
               timetables,
               rows_at,
               rows_of_block,
               row_lists,
               block_rows,
               frames_seen,
               fates,
               last_fates,
               options.batch,
               options.block,
               0,
               0,
               options.nonfinite,
               is_plain(*model, options.nonfinite),
               {}};
  }
  return stream;
}

// A template, so that firmware does not compile it.
template <class Frame>
void plan_one_frame(const Stream& stream, Frame* one) {
  if constexpr (kHasFusedSteps) {
    const Model& model = *stream.model;
    if (!stream.is_plain || stream.batch != 1 || model.first_unstreamable != kNone) return;
    one->is_ready = true;
    one->row = {nullptr, 1};
    one->in = stream.values[model.inputs[0]];
    one->out = stream.values[model.outputs[0]];
    one->block = {model.table, stream.values, 1, 1, 0, {&one->row, &one->row}, {&one->row, &one->row}};
  }
}

void plan_nodes(const Stream* stream) {
  const Model& model = *stream->model;
  const StreamShape shape = {model.table, stream->values, stream->batch, stream->block};
  const StreamShape looped = {model.table, stream->in_loops, stream->batch, 1};
  for (uint32_t i = 0; i < model.node_count; ++i) {
    const Node& node = model.nodes[i];
    const bool in_loop = kHasLoops && model.values[node.output].loop != kNobody;
    if (node.kind->plan) node.kind->plan(node, stream->nodes[i], in_loop ? looped : shape);
  }
}

float* state_at(const Stream* stream, uint32_t index, uint32_t row) {
  const State& state = stream->model->states[index];
  const NodeMemory& memory = stream->nodes[state.node];
  return memory.state + row * memory.state_stride + state.offset;
}

// States that a layer keeps for itself follow from those that a caller sets: they are made anew.
void forget_derived(const Stream* stream, uint32_t node, uint32_t row) {
  for (uint32_t i = 0; i < stream->model->state_count; ++i) {
    const State& state = stream->model->states[i];
    if (state.node != node || state.spec.is_public) continue;
    memset(state_at(stream, i, row), 0, padded(state.spec.size()) * sizeof(float));
  }
}

void clear_row(const Stream* stream, uint32_t row) {
  stream->frames_seen[row] = 0;
  for (uint32_t i = 0; i < stream->model->state_count; ++i) {
    const StateSpec& spec = stream->model->states[i].spec;
    float* const to = state_at(stream, i, row);
    memset(to, 0, padded(spec.size()) * sizeof(float));
    if (spec.initial) memcpy(to, spec.initial, spec.size() * sizeof(float));
  }
}

}  // namespace

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
  Stream* stream = detail::carve_stream(model, options, &arena, false);
  detail::plan_nodes(stream);
  detail::plan_one_frame(*stream, &stream->one);
  reset(stream);
  *out = stream;
  return Status::kOk;
}

void reset(Stream* stream) noexcept {
  for (uint32_t row = 0; row < stream->batch; ++row) detail::clear_row(stream, row);
}

void reset_rows(Stream* stream, const uint32_t* rows, uint32_t count) noexcept {
  for (uint32_t i = 0; i < count; ++i) detail::clear_row(stream, rows[i]);
}

void get_state(const Stream* stream, uint32_t state, uint32_t row, float* out) noexcept {
  const uint32_t size = stream->model->states[state].spec.size();
  memcpy(out, detail::state_at(stream, state, row), size * sizeof(float));
}

void set_state(Stream* stream, uint32_t state, uint32_t row, const float* values) noexcept {
  const uint32_t size = stream->model->states[state].spec.size();
  float* const to = detail::state_at(stream, state, row);
  memset(to, 0, detail::padded(size) * sizeof(float));  // a NaN in the padding would stay there
  // The same border as an input's: denormals become zero.
  (void)stream->model->table->floats->copy_in(to, 0, values, 0, size, 1);
  detail::forget_derived(stream, stream->model->states[state].node, row);
}

void copy_stream(const Stream* from, Stream* to) noexcept {
  memcpy(to->frames_seen, from->frames_seen, size_t{from->batch} * sizeof(uint64_t));
  for (uint32_t i = 0; i < from->model->node_count; ++i) {
    const size_t floats = from->nodes[i].state_stride * from->batch;
    if (floats) memcpy(to->nodes[i].state, from->nodes[i].state, floats * sizeof(float));
  }
}

uint32_t output_frames(const Stream* stream, uint32_t output, uint32_t row, uint32_t frames) noexcept {
  const detail::Value& value = stream->model->values[stream->model->outputs[output]];
  if (value.rate == Rate::kSequence) return 1;
  const detail::Clock& clock = stream->model->clocks[value.clock];
  const uint64_t seen = stream->frames_seen[row];
  return static_cast<uint32_t>(clock.count(seen + frames) - clock.count(seen));
}

uint32_t take_flags(Stream* stream) noexcept {
  const uint32_t flags = stream->flags;
  stream->flags = 0;
  return flags;
}

}  // namespace grucore
