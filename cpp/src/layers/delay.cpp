// A value as it was some frames ago. It may read what a later node writes: so a network feeds back.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/window.h"

namespace grucore {
namespace detail {

namespace {

struct DelayParams {
  const float* initial;  // (frames, features), oldest first; null: zeros
  uint32_t frames;
  uint32_t features;
  bool is_ids;
};

const DelayParams& of(const void* params) { return *static_cast<const DelayParams*>(params); }

Status parse(const NodeSource& source, void* out) {
  DelayParams& params = *new_params<DelayParams>(out);
  GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_same_clock(0));
  if (source.input(0).rate == Rate::kSequence) return source.refuse(Status::kBadShape, 2, 0);
  const uint32_t features = source.result().features;
  if (source.input(0).features != features) return source.refuse(Status::kBadShape, source.input(0).features, features);
  GRUCORE_TRY(source.expect_attributes(1));
  GRUCORE_TRY(source.attribute(0, kMaxTaps, &params.frames));
  if (params.frames == 0) return source.reader.refuse(Status::kBadAttribute, source.attribute_offset, 0, 1);
  const uint64_t history = uint64_t{params.frames} * features;
  if (history > kMaxHistory) return source.refuse_wide(Status::kBadAttribute, history, kMaxHistory);
  params.features = features;
  params.is_ids = source.result().dtype == Dtype::kInt32;
  if (source.tensor_count == 0) return Status::kOk;
  GRUCORE_TRY(source.expect_tensors(1));
  const Tensor* initial = source.find(Role::kInitialState);
  source.blame(Role::kInitialState);
  if (!initial) return source.refuse(Status::kMissingTensor, 0, 1);
  GRUCORE_TRY(source.expect_tensor(*initial, TensorDtype::kFloat32, Layout::kRowMajor, 2));
  const uint32_t shape[2] = {params.frames, features};
  for (uint32_t i = 0; i < 2; ++i) {
    if (initial->shape[i] != shape[i]) {
      return source.reader.refuse(Status::kBadShape, initial->record_offset + 16 + 4 * size_t{i}, initial->shape[i],
                                  shape[i]);
    }
  }
  source.blame_no_tensor();
  params.initial = static_cast<const float*>(initial->data);
  return Status::kOk;
}

uint32_t states(const void* params, StateSpec* out) {
  const DelayParams& p = of(params);
  *out = {".x", p.frames > 1 ? p.frames : 0, p.features, true, p.initial};
  return 1;
}

// A state holds ids as numbers: whole ones up to 2^24 either way, as float32 has them all. What is none is -1.
constexpr float kMostId = 0x1p24f;

void ids_of(float* ids, const float* numbers, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    const float number = numbers[i];
    const int32_t id = number >= -kMostId && number <= kMostId ? static_cast<int32_t>(number) : -1;
    memcpy(ids + i, &id, sizeof id);
  }
}

void numbers_of(float* numbers, const float* ids, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    int32_t id;
    memcpy(&id, ids + i, sizeof id);
    numbers[i] = id >= -(1 << 24) && id <= 1 << 24 ? static_cast<float>(id) : -1.0f;
  }
}

// The oldest frame of the state goes out.
void give(const DelayParams& p, const NodeMemory& memory, const ValueBuffer& y, size_t first, const Rows& rows) {
  for (uint32_t i = 0; i < rows.count; ++i) {
    const size_t row = row_of(rows, i);
    float* to = y.data + (first + row) * y.stride;
    const float* state = memory.state + row * memory.state_stride;
    if (p.is_ids) {
      ids_of(to, state, p.features);
    } else {
      memcpy(to, state, size_t{p.features} * sizeof(float));
    }
  }
}

// The newest one comes in.
void keep(const DelayParams& p, const NodeMemory& memory, const ValueBuffer& x, size_t first, const Rows& rows) {
  const size_t older = size_t{p.frames - 1} * p.features;
  for (uint32_t i = 0; i < rows.count; ++i) {
    const size_t row = row_of(rows, i);
    float* state = memory.state + row * memory.state_stride;
    if (older) memmove(state, state + p.features, older * sizeof(float));
    const float* from = x.data + (first + row) * x.stride;
    if (p.is_ids) {
      numbers_of(state + older, from, p.features);
    } else {
      memcpy(state + older, from, size_t{p.features} * sizeof(float));
    }
  }
}

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const DelayParams& p = node.as<DelayParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  for (uint32_t frame = 0; frame < block.frames; ++frame) {
    const size_t first = size_t{frame} * block.batch;
    give(p, memory, y, first, block.in.at[frame]);
    if (!node.is_fed_back) keep(p, memory, x, first, block.in.at[frame]);
  }
}

void close_frame(const Node& node, const NodeMemory& memory, const Block& block) {
  keep(node.as<DelayParams>(), memory, block.values[node.inputs[0]], 0, block.in.at[0]);
}

constexpr LayerKind make() {
  LayerKind kind = {19, "delay", parse, run};
  kind.states = states;
  kind.close_frame = close_frame;
  return kind;
}

}  // namespace

extern const LayerKind kDelayLayer;
const LayerKind kDelayLayer = make();

}  // namespace detail
}  // namespace grucore
