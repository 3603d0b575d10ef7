// Attention of one query per frame over a memory, which each row of a stream holds as a state and a caller sets.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/weights.h"
#include "layers/window.h"

namespace grucore {
namespace detail {

namespace {

struct AttentionParams {
  PackedWeights weight;  // additive: makes keys of the memory's frames
  const float* bias;
  const float* vector;   // additive: what a key's tanh is multiplied by; null: the product of query and key
  const float* initial;  // (frames, features); null: a stream starts with an empty memory
  uint32_t heads;
  uint32_t frames;     // of the memory, at most
  uint32_t features;   // of its frames
  uint32_t key_width;  // of one head
  uint32_t width;      // of the values of one head
  float scale;
  float initial_length;
};

const AttentionParams& of(const void* params) { return *static_cast<const AttentionParams*>(params); }

bool is_additive(const AttentionParams& p) { return p.vector != nullptr; }

// The keys that an additive memory has, then how many of them are made.
uint32_t key_floats(const AttentionParams& p) { return p.frames * round_up(p.key_width, kPanel); }

Status expect_range(const NodeSource& source, uint32_t i, uint32_t least, uint32_t most) {
  const uint32_t found = source.attributes[i];
  if (found >= least && found <= most) return Status::kOk;
  return source.reader.refuse(Status::kBadAttribute, source.attribute_offset + 4 * size_t{i}, found,
                              found < least ? least : most);
}

Status parse_sizes(const NodeSource& source, AttentionParams* params, uint32_t* score) {
  GRUCORE_TRY(source.expect_attributes(6));
  GRUCORE_TRY(source.attribute(0, 1, score));
  GRUCORE_TRY(expect_range(source, 1, 1, *score ? 1 : kMaxFeatures));
  GRUCORE_TRY(expect_range(source, 2, 1, kMaxTaps));
  GRUCORE_TRY(expect_range(source, 3, 1, kMaxFeatures));
  GRUCORE_TRY(expect_range(source, 4, 1, source.attributes[3]));
  params->heads = source.attributes[1];
  params->frames = source.attributes[2];
  params->features = source.attributes[3];
  params->width = source.attributes[4];
  memcpy(&params->scale, &source.attributes[5], sizeof params->scale);
  if ((source.attributes[5] & 0x7f800000u) == 0x7f800000u) {
    return source.reader.refuse(Status::kBadAttribute, source.attribute_offset + 20, source.attributes[5], 0);
  }
  const uint32_t query = source.input(0).features;
  params->key_width = query / params->heads;
  const bool fits = params->key_width * params->heads == query;
  if (!fits || (!*score && params->key_width > params->features) || params->key_width == 0) {
    return source.refuse(Status::kBadShape, query, size_t{params->heads} * params->features);
  }
  const uint64_t given = uint64_t{params->heads} * params->width;
  if (source.result().features != given) return source.refuse_wide(Status::kBadShape, source.result().features, given);
  const uint32_t widest = *score && query > params->features ? query : params->features;
  const uint64_t history = uint64_t{params->frames} * round_up(widest, kPanel);
  return history <= kMaxHistory ? Status::kOk : source.refuse_wide(Status::kBadAttribute, history, kMaxHistory);
}

Status parse_initial(const NodeSource& source, AttentionParams* params, uint32_t* tensors) {
  const Tensor* initial = source.find(Role::kInitialState);
  if (!initial) return Status::kOk;
  source.blame(Role::kInitialState);
  GRUCORE_TRY(source.expect_tensor(*initial, TensorDtype::kFloat32, Layout::kRowMajor, 2));
  const uint32_t shape[2] = {params->frames, params->features};
  for (uint32_t i = 0; i < 2; ++i) {
    if (initial->shape[i] != shape[i]) {
      return source.reader.refuse(Status::kBadShape, initial->record_offset + 16 + 4 * size_t{i}, initial->shape[i],
                                  shape[i]);
    }
  }
  source.blame_no_tensor();
  params->initial = static_cast<const float*>(initial->data);
  params->initial_length = static_cast<float>(params->frames);
  ++*tensors;
  return Status::kOk;
}

// float32 alone: as keys are made once for a memory, smaller weights would save little.
Status parse_keys(const NodeSource& source, AttentionParams* params, uint32_t* tensors) {
  const WeightShape shape = {1, params->key_width, params->features};
  GRUCORE_TRY(parse_weights(source, {Role::kWeight, Role::kWeightScale}, shape, &params->weight, tensors));
  if (!is_float32(params->weight)) {
    return source.reader.refuse(Status::kUnknownDtype, source.find(Role::kWeight)->record_offset + 4,
                                static_cast<size_t>(source.find(Role::kWeight)->dtype), 0);
  }
  PanelWeights bias;
  GRUCORE_TRY(source.panels(Role::kBias, 1, params->key_width, 0, &bias));
  params->bias = bias.data;
  GRUCORE_TRY(source.vector(Role::kScale, params->key_width, &params->vector));
  *tensors += 2;
  return Status::kOk;
}

Status parse(const NodeSource& source, void* out) {
  AttentionParams& params = *new_params<AttentionParams>(out);
  GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  GRUCORE_TRY(source.expect_same_clock(0));
  if (source.input(0).rate == Rate::kSequence) return source.refuse(Status::kBadShape, 2, 0);
  uint32_t score = 0, tensors = 0;
  GRUCORE_TRY(parse_sizes(source, &params, &score));
  if (score) GRUCORE_TRY(parse_keys(source, &params, &tensors));
  GRUCORE_TRY(parse_initial(source, &params, &tensors));
  return source.expect_tensors(tensors);
}

uint32_t states(const void* params, StateSpec* out) {
  const AttentionParams& p = of(params);
  out[0] = {".memory", p.frames, p.features, true, p.initial};
  out[1] = {".length", 0, 1, true, &p.initial_length};
  if (!is_additive(p)) return 2;
  out[2] = {".keys", 0, key_floats(p) + 1, false, nullptr};
  return 3;
}

uint64_t macs(const void* params) {
  const AttentionParams& p = of(params);
  return uint64_t{p.heads} * p.frames * (uint64_t{p.key_width} + p.width);
}

uint32_t products(const void*) { return kFloatProducts; }  // scores and sums of values are chains of their class

uint64_t scratch_floats(const void* params, const KernelTable&, uint32_t, uint32_t) {
  return round_up(of(params).frames, kPanel);
}

// Whatever number a caller has set.
uint32_t length_of(const AttentionParams& p, float length) {
  if (!(length >= 1.0f)) return 0;
  return length >= static_cast<float>(p.frames) ? p.frames : static_cast<uint32_t>(length);
}

// Where the keys of a row's memory stand; those of an additive one are made when they are first needed.
ConstMatrix keys_of(const AttentionParams& p, const KernelTable& table, const float* memory, float* keys,
                    uint32_t length) {
  if (!is_additive(p)) return {memory, p.features};
  const size_t stride = round_up(p.key_width, kPanel);
  float* const made = keys + key_floats(p);
  const uint32_t before = static_cast<uint32_t>(*made);
  if (before < length) {
    const BiasedProduct product = {p.weight, p.bias, {ActivationCode::kLinear, 0.0f, 0.0f}, 0.0f, nullptr};
    multiply_and_activate(table, product, {memory + size_t{before} * p.features, p.features},
                          {keys + before * stride, stride}, {nullptr, length - before});
    *made = static_cast<float>(length);
  }
  return {keys, stride};
}

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const AttentionParams& p = node.as<AttentionParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  const size_t length_at = round_up(p.frames * p.features, kPanel);
  for (uint32_t frame = 0; frame < block.frames; ++frame) {
    const Rows& rows = block.in.at[frame];
    for (uint32_t i = 0; i < rows.count; ++i) {
      const size_t row = row_of(rows, i), place = size_t{frame} * block.batch + row;
      float* const state = memory.state + row * memory.state_stride;
      const uint32_t length = length_of(p, state[length_at]);
      const ConstMatrix keys = keys_of(p, *block.table, state, state + length_at + kPanel, length);
      const ConstMatrix values = {state + (p.features - p.width), p.features};
      block.table->floats->attend({x.data + place * x.stride, keys, values, p.vector, p.scale, p.heads, p.key_width,
                                   p.width, length, memory.scratch, y.data + place * y.stride});
    }
  }
}

constexpr LayerKind make() {
  LayerKind kind = {25, "attention", parse, run};
  kind.macs = macs;
  kind.products = products;
  kind.states = states;
  kind.scratch_floats = scratch_floats;
  return kind;
}

}  // namespace

extern const LayerKind kAttentionLayer;
const LayerKind kAttentionLayer = make();

}  // namespace detail
}  // namespace grucore
