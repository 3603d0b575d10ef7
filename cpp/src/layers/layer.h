// What a layer kind is to the rest of the engine. A kind is one file in this folder and one row in
// layer_list.inc; nothing else names it.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_LAYERS_LAYER_H_
#define GRUCORE_LAYERS_LAYER_H_

#include "format/reader.h"
#include "model/model.h"

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
  uint64_t record_offset;
  uint64_t attribute_offset;

  const Value& input(uint32_t i) const { return values[inputs[i]]; }
  const Value& result() const { return values[output]; }

  Status refuse(Status status, uint64_t found, uint64_t expected) const {
    return reader.refuse(status, record_offset, found, expected);
  }
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
      return reader.refuse(Status::kBadAttribute, attribute_offset + 4 * uint64_t{i}, attributes[i], most);
    }
    *out = attributes[i];
    return Status::kOk;
  }
  // attributes[i] is the only one that there is so far.
  Status expect_attribute(uint32_t i, uint32_t expected) const {
    if (attributes[i] == expected) return Status::kOk;
    return reader.refuse(Status::kBadAttribute, attribute_offset + 4 * uint64_t{i}, attributes[i], expected);
  }
  // float32 in panel16: (gates * rows, inputs), or a bias (gates * rows,) where inputs is 0.
  Status panels(Role role, uint32_t gates, uint32_t rows, uint32_t inputs, PanelWeights* out) const;
};

// The memory of one value in a stream: (frames, batch) rows.
struct ValueBuffer {
  float* data;
  size_t stride;
  uint32_t features;
};

// What a node works on: `frames` frames of every row. Which rows take part differs from frame to frame
// where sequences have ended or a frame is held.
struct Block {
  const KernelTable* table;
  const ValueBuffer* values;
  uint32_t batch;
  uint32_t frames;
  const Rows* rows_at;  // of each frame: rows of the batch
  Rows rows;            // of the whole block: frame * batch + row
};

struct NodeMemory {
  float* state;  // (batch, state_stride)
  size_t state_stride;
  float* scratch;
};

struct LayerKind {
  uint32_t number;
  const char* name;
  const char* state_suffix;  // of "<node><suffix>"; null: no state
  bool state_is_public;
  // Checks the node and fills params.
  Status (*parse)(const NodeSource& source, void* params);
  uint32_t (*state_size)(const void* params);  // floats for each row; 0: none
  bool (*streamable)(const void* params);
  uint64_t (*macs)(const void* params);  // multiply-adds of one frame of one row
  // Floats of scratch for a block of so many frames and rows; measured in uint64_t against overflow.
  uint64_t (*scratch_floats)(const void* params, uint32_t batch, uint32_t frames);
  void (*run)(const Node& node, const NodeMemory& memory, const Block& block);
};

const LayerKind* find_layer_kind(uint32_t number);

inline bool always_streamable(const void*) { return true; }
inline uint32_t no_state(const void*) { return 0; }
inline uint64_t no_macs(const void*) { return 0; }
inline uint64_t no_scratch(const void*, uint32_t, uint32_t) { return 0; }

inline uint32_t row_of(const Rows& rows, uint32_t i) { return rows.index ? rows.index[i] : i; }

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_LAYERS_LAYER_H_
