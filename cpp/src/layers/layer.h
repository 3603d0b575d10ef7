// A layer kind, as the rest of the engine sees it. A kind is one file in this folder and one row in
// layer_list.inc; nothing else names it.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_LAYERS_LAYER_H_
#define GRUCORE_LAYERS_LAYER_H_

#include "format/reader.h"
#include "graph/graph.h"
#include "isa/strict_math.h"
#include "kernels/kernel_table.h"

namespace grucore {
namespace detail {

// A node's part of the file, for the layer kind to check. The graph around it is checked already: indices
// are in range, inputs are written before, tensors are inside the file and as long as their shapes say.
struct NodeSource {
  const Reader& reader;
  const Value* values;
  const uint32_t* inputs;
  uint32_t input_count;
  uint32_t output;
  const uint32_t* attributes;
  uint32_t attribute_count;
  const Tensor* tensors;
  uint32_t tensor_count;
  size_t record_offset;
  size_t attribute_offset;

  const Value& input(uint32_t i) const { return values[inputs[i]]; }
  const Value& result() const { return values[output]; }

  Status refuse(Status status, size_t found, size_t expected) const {
    return reader.refuse(status, record_offset, found, expected);
  }
  Status refuse_wide(Status status, uint64_t found, uint64_t expected) const {
    return reader.refuse_wide(status, record_offset, found, expected);
  }
  // The tensor that the next refusals are about.
  void blame(Role role) const { reader.blame_tensor(static_cast<uint32_t>(role)); }
  void blame_no_tensor() const { reader.blame_tensor(kNone); }
  Status expect_inputs(uint32_t count) const {
    return input_count == count ? Status::kOk : refuse(Status::kBadShape, input_count, count);
  }
  Status expect_attributes(uint32_t count) const {
    return attribute_count == count ? Status::kOk : refuse(Status::kBadAttribute, attribute_count, count);
  }
  Status expect_tensors(uint32_t count) const {
    return tensor_count == count ? Status::kOk : refuse(Status::kMissingTensor, tensor_count, count);
  }
  // attributes[i] in [0, most], as a member of an enum.
  Status attribute(uint32_t i, uint32_t most, uint32_t* out) const {
    if (attributes[i] > most) {
      return reader.refuse(Status::kBadAttribute, attribute_offset + 4 * size_t{i}, attributes[i], most);
    }
    *out = attributes[i];
    return Status::kOk;
  }
  // Input i and the result have the same dtype, rate, period and skip.
  Status expect_same_clock(uint32_t i) const;
  Status expect_float32(const Value& value) const;
  // Three words from attributes[first] on; codes below `codes`.
  Status activation(uint32_t first, uint32_t codes, Activation* out) const;

  const Tensor* find(Role role) const;  // null where there is none
  Status expect_tensor(const Tensor& tensor, TensorDtype dtype, Layout layout, uint32_t rank) const;
  // float32 in panel16: (gates * rows, inputs), or a bias (gates * rows,) where inputs is 0. Rows of `groups`
  // matrices, one after the other; `out` is the first one.
  Status panels(Role role, uint32_t gates, uint32_t rows, uint32_t inputs, PanelWeights* out,
                uint32_t groups = 1) const;
  // Stored float32 numbers of a tensor that is there; a report names the first one below 0.
  Status expect_not_negative(Role role, size_t count) const;
  Status refuse_number(const Tensor& tensor, size_t index) const;
  // float32 in rowmajor: (features,)
  Status vector(Role role, uint32_t features, const float** out) const;
};

// The memory of one value in a stream: (frames, batch) rows.
struct ValueBuffer {
  float* data;
  size_t stride;
  uint32_t features;
};

// Which rows have a value at which frames of a block: not all where sequences have ended, a frame is held,
// or the value's clock does not tick.
struct Timetable {
  const Rows* at;   // of each frame: rows of the batch
  const Rows* all;  // of the whole block: frame * batch + row
};

// The frames that a node works on: `frames` of every row.
struct Block {
  const KernelTable* table;
  const ValueBuffer* values;
  uint32_t batch;
  uint32_t frames;
  uint32_t pass;  // counts blocks: weights are read in one order and then in the other
  Timetable in;   // of the values that the node reads
  Timetable out;  // of the value that it writes
};

struct NodeMemory {
  float* state;  // (batch, state_stride): a row has all states of the node
  size_t state_stride;
  float* scratch;
  void* plan;
};

// The facts that the blocks of a stream share.
struct StreamShape {
  const KernelTable* table;
  const ValueBuffer* values;
  uint32_t batch;
  uint32_t frames;  // of a block, at most
};

constexpr uint32_t kFloatProducts = 1;    // of float32 or float16 weights
constexpr uint32_t kIntegerProducts = 2;  // of int8 or int4 weights

struct LayerKind {
  uint32_t number;
  const char* name;
  // Checks the node and fills params.
  Status (*parse)(const NodeSource& source, void* params);
  void (*run)(const Node& node, const NodeMemory& memory, const Block& block);

  // The rest is null where the layer has nothing of the kind.
  bool (*reads_future)(const void* params) = nullptr;
  uint64_t (*macs)(const void* params) = nullptr;                    // multiply-adds of one frame of one row
  uint32_t (*products)(const void* params) = nullptr;                // a mask of the constants above
  uint32_t (*states)(const void* params, StateSpec* out) = nullptr;  // at most kMaxStates; returns how many
  uint32_t (*ids)(const void* params) = nullptr;                     // of an embedding: how many it has a row for
  bool hands_on_ids = false;                                         // every feature of its inputs goes to its output
  // Not null: the node may read a value that it or a later node writes. It is then called with Node::is_fed_back, for
  // blocks of one frame, and this takes the value in, after all nodes of the loop have run.
  void (*close_frame)(const Node& node, const NodeMemory& memory, const Block& block) = nullptr;
  // Floats of scratch for a block of so many frames and rows; in 64 bits against overflow.
  uint64_t (*scratch_floats)(const void* params, const KernelTable& table, uint32_t batch, uint32_t frames) = nullptr;
  // Results that a block would else work out anew: memory.plan, of so many bytes, written once for a stream.
  size_t plan_bytes = 0;
  void (*plan)(const Node& node, const NodeMemory& memory, const StreamShape& shape) = nullptr;
};

const LayerKind* find_layer_kind(uint32_t number);

// A node's params, empty, to be filled in place: a copy would be the deepest point of a small stack.
template <class Params>
Params* new_params(void* out) {
  Params* params = static_cast<Params*>(out);
  *params = {};
  return params;
}

// y[i] = x[i] / by, denormals made zero.
inline void divide(float* y, const float* x, float by, uint32_t count) {
  constexpr float kSmallestNormal = 0x1p-126f;
  for (uint32_t i = 0; i < count; ++i) {
    const float quotient = x[i] / by;
    y[i] = quotient < kSmallestNormal && quotient > -kSmallestNormal ? 0.0f : quotient;
  }
}

inline uint32_t row_of(const Rows& rows, uint32_t i) { return rows.index ? rows.index[i] : i; }

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_LAYERS_LAYER_H_
