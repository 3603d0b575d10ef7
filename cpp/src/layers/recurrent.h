// The shared part of recurrent layers: their checks, and how states and masks go through the frames of a block.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_LAYERS_RECURRENT_H_
#define GRUCORE_LAYERS_RECURRENT_H_

#include <string.h>

#include "layers/weights.h"

namespace grucore {
namespace detail {

// The head of a recurrent layer's params.
struct RecurrentParams {
  PackedWeights weight_ih;
  PackedWeights weight_hh;
  const float* bias;
  const float* initial_state;  // null: zeros
  float input_range;
  bool reverse;
  bool is_masked;
  bool masked_is_zero;
  bool is_float32;  // all of its weights
};

// One value of floats that comes with every frame, maybe a mask, and a result like the value. Sets is_masked.
Status parse_recurrent_values(const NodeSource& source, RecurrentParams* params);
// The attributes `direction` and, after it, `output of masked frames`.
Status parse_direction(const NodeSource& source, uint32_t first, RecurrentParams* params);
// weight_ih of `gates` gates, weight_hh of `state_gates`, their scales, input_range, and the initial state.
Status parse_recurrent_weights(const NodeSource& source, uint32_t gates, uint32_t state_gates, RecurrentParams* params,
                               uint32_t* tensors);

// Floats of one gate of a row.
inline size_t gate_stride(const RecurrentParams& p) { return round_up(p.weight_hh.rows, kPanel); }

inline uint32_t recurrent_products(const RecurrentParams& p) {
  return products_of(p.weight_ih) | products_of(p.weight_hh);
}
inline uint64_t recurrent_macs(const RecurrentParams& p, uint32_t gates) {
  return gates * uint64_t{p.weight_hh.rows} * (p.weight_ih.inputs + uint64_t{p.weight_hh.rows});
}

// True if the inputs of a block are multiplied before its steps. So few are not, where one kernel does a whole step: it
// has the time while it waits for the states.
constexpr uint32_t kFewInputs = 8;
inline bool projects_blocks(const RecurrentParams& p, bool fused) { return !fused || p.weight_ih.inputs > kFewInputs; }

// True if one kernel table's file has both products, so that a step can do its input product itself.
inline bool has_one_table(const RecurrentParams& p) {
  return is_integer(p.weight_ih.kind) == is_integer(p.weight_hh.kind);
}

// A stream of so many rows shares a pass over the weights of the inputs at every frame: a product of a whole block
// gains nothing more.
constexpr uint32_t kManyRows = 4;
constexpr float kLeastStateRange = 1.0f;

// Fills in a product of a step, first panel first; x, y and rows are for the caller.
void set_product(const PackedWeights& weights, float* scratch, ProductArgs* args);

// The arguments of a frame of a stream's only row, which change no more but for the order of panels.
template <bool kHasFused>
struct OneRow {
  bool has_one;
  FloatStepArgs one;
};
template <>
struct OneRow<false> {};

// The head of a recurrent layer's plan: what the steps of a stream share. Steps write few of their arguments anew and
// copy no struct: a load that spans two stores waits until both have left the processor, and with them all that went
// before.
struct RecurrentPlan : OneRow<kHasFusedSteps> {
  const RecurrentParams* params;
  const KernelTable* table;
  const ValueBuffer* mask;  // null: none
  const float* x;
  Matrix y;
  float* projected;  // the chains after the inputs of a block
  uint32_t* rows;    // that a mask leaves
  uint32_t batch;
  bool is_fused;  // one kernel does a whole step
};
void set_plan(const Node& node, const RecurrentParams& params, const StreamShape& shape, RecurrentPlan* plan);

// Sets the plan's `one` from the arguments that all steps share, where there is a single row and no mask. A template,
// as the next one, so that builds without whole steps do not compile it.
template <class Plan>
void plan_one(const NodeMemory& memory, const ValueBuffer& x, const FloatStepArgs& shared, Plan* plan) {
  if constexpr (kHasFusedSteps) {
    if (plan->batch != 1 || plan->mask) return;
    plan->has_one = true;
    FloatStepArgs& one = plan->one;
    one = shared;
    one.x.data = x.data;
    one.projected.data = nullptr;
    one.h = {memory.state, memory.state_stride};
    one.out.data = plan->y.data;
    one.rows = {nullptr, 1};
    one.frames = 1;
    one.keep = memory.state;
  }
}

// Runs a block that is such a frame; false if it is none.
template <class Plan>
bool run_one(const Block& block, void (*steps)(const FloatStepArgs&), Plan* plan) {
  if constexpr (kHasFusedSteps) {
    if (!plan->has_one || block.frames != 1 || block.in.at[0].count != 1) return false;
    plan->one.backwards = block.pass % 2 != 0;
    steps(plan->one);
    return true;
  }
  return false;
}

// Frames of a block.
struct RecurrentFrame {
  size_t row;  // of the block, where the first one starts
  const float* h;
  size_t h_stride;
  float* out;
  const Rows* rows;
  uint32_t count;  // more than one: of all rows
  bool backwards;  // last panel first; of several frames every other one the other way round
};
// From a frame to the next one, in rows of the block.
inline ptrdiff_t frame_rows(const RecurrentPlan& plan) {
  return plan.params->reverse ? -static_cast<ptrdiff_t>(plan.batch) : static_cast<ptrdiff_t>(plan.batch);
}
inline void next_frame(const RecurrentPlan& plan, RecurrentFrame* frame) {
  const ptrdiff_t rows = frame_rows(plan);
  frame->row += static_cast<size_t>(rows);
  frame->h = frame->out;
  frame->h_stride = plan.y.stride;
  frame->out += rows * static_cast<ptrdiff_t>(plan.y.stride);
  frame->backwards = !frame->backwards;
}

// h = the new state, for the rows that took part. h is the first of a node's states.
inline void keep_states(const NodeMemory& memory, const float* out, size_t stride, uint32_t hidden, const Rows& rows) {
  for (uint32_t i = 0; i < rows.count; ++i) {
    const uint32_t row = row_of(rows, i);
    memcpy(memory.state + row * memory.state_stride, out + row * stride, round_up(hidden, kPanel) * sizeof(float));
  }
}

// The rows of one frame that the mask lets through; the others get their outputs here.
Rows pass_mask(const RecurrentPlan& plan, const NodeMemory& memory, size_t first, float* out, const Rows& rows);

// All frames of a block. While all rows take part, a step reads h where the step before has written it; h comes home
// when some rows are left out, and at the end. `begin` projects the inputs of so many frames, `step` makes steps.
template <class Plan, void (*begin)(Plan*, uint32_t frames, const Rows& all),
          void (*step)(Plan*, const RecurrentFrame&)>
void run_recurrent(const Node&, const NodeMemory& memory, const Block& block) {
  Plan& plan = *static_cast<Plan*>(memory.plan);
  const RecurrentParams& p = *plan.params;
  const size_t stride = plan.y.stride;
  const uint32_t hidden = p.weight_hh.rows;
  if (block.frames == 1 && !plan.mask) {
    const Rows& rows = block.in.at[0];
    begin(&plan, 1, rows);
    step(&plan, {0, memory.state, memory.state_stride, plan.y.data, &rows, 1, block.pass % 2 != 0});
    return keep_states(memory, plan.y.data, stride, hidden, rows);
  }
  const Rows everyone = {nullptr, plan.batch};
  float* away = nullptr;  // where h is, if not in memory.state
  begin(&plan, block.frames, *block.in.all);
  if (!plan.mask && !block.in.all->index) {
    const size_t last = size_t{block.frames - 1} * plan.batch;
    const size_t from = p.reverse ? last : 0, to = p.reverse ? 0 : last;
    step(&plan, {from, memory.state, memory.state_stride, plan.y.data + from * stride, &everyone, block.frames,
                 block.pass % 2 != 0});
    return keep_states(memory, plan.y.data + to * stride, stride, hidden, everyone);
  }
  for (uint32_t i = 0; i < block.frames; ++i) {
    const uint32_t frame = p.reverse ? block.frames - 1 - i : i;
    const size_t first = size_t{frame} * plan.batch;
    float* const out = plan.y.data + first * stride;
    const Rows* rows = &block.in.at[frame];
    Rows open;
    if (plan.mask) {
      open = pass_mask(plan, memory, first, out, *rows);
      rows = &open;
    }
    if (away && rows->index) {
      keep_states(memory, away, stride, hidden, everyone);
      away = nullptr;
    }
    const bool backwards = (block.pass + i) % 2 != 0;
    step(&plan, {first, away ? away : memory.state, away ? stride : memory.state_stride, out, rows, 1, backwards});
    if (rows->index) {
      keep_states(memory, out, stride, hidden, *rows);
    } else {
      away = out;
    }
  }
  if (away) keep_states(memory, away, stride, hidden, everyone);
}

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_LAYERS_RECURRENT_H_
