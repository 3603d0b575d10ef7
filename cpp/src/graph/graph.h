// A network in memory: values, tensors and nodes, as they were copied out of a file while it was checked.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_GRAPH_GRAPH_H_
#define GRUCORE_GRAPH_GRAPH_H_

#include <stddef.h>
#include <stdint.h>

#include "format/division.h"
#include "format/layout.h"
#include "grucore/grucore.h"

namespace grucore {
namespace detail {

struct LayerKind;

constexpr uint32_t kNobody = 0xffffffffu;  // writer of a model's input

// Which frames of the model's input, counted from the start of a stream, have a value (docs/format.md).
struct Clock {
  uint32_t skip;
  uint32_t period;

  bool ticks(uint64_t frame) const { return frame >= skip && remainder(frame - skip, period) == 0; }
  // Values before this frame.
  uint64_t count(uint64_t frame) const { return frame <= skip ? 0 : quotient(frame - skip + period - 1, period); }
};

struct Value {
  Text name;
  uint32_t features;
  uint32_t period;
  uint32_t skip;
  uint32_t clock;   // among the model's clocks; 0 for values per sequence
  uint32_t writer;  // node, or kNobody
  uint32_t loop;    // of its writer, or kNobody
  uint32_t ids;     // of the smallest embedding that reads the value; 0: none does
  Dtype dtype;
  Rate rate;
  bool is_looped;    // read or written in a loop
  bool leaves_loop;  // written in a loop, and read outside of it or an output of the model
};

// A tensor's record, copied out of the file while it was checked.
struct Tensor {
  uint32_t role;
  TensorDtype dtype;
  Layout layout;
  uint32_t rank;
  uint32_t shape[4];
  uint32_t params[4];
  const void* data;
  size_t record_offset;  // for reports
};

// The memory that a node carries from frame to frame, for each row.
struct StateSpec {
  const char* suffix;    // the state is called "<node><suffix>"
  uint32_t frames;       // of a history of frames; 0: a single vector
  uint32_t channels;     // floats of the vector, or of each frame
  bool is_public;        // shown to users
  const float* initial;  // size() floats; null: zeros

  uint32_t size() const { return (frames ? frames : 1) * channels; }
};
constexpr uint32_t kMaxStates = 3;  // of a node

// A state of the model. The states of a node lie side by side in a row of its memory, each padded to whole panels.
struct State {
  StateSpec spec;
  uint32_t node;
  uint32_t offset;  // floats, from the start of the node's row
};

constexpr size_t kParamsBytes = 256;

struct Node {
  const LayerKind* kind;
  Text name;
  const uint32_t* inputs;  // value indices
  uint32_t input_count;
  uint32_t output;
  uint32_t state_stride;                           // floats of a row of all its states; 0: none
  bool is_fed_back;                                // reads a value that it or a later node writes
  alignas(16) unsigned char params[kParamsBytes];  // the layer kind's own struct

  template <class Params>
  const Params& as() const {
    static_assert(sizeof(Params) <= kParamsBytes, "raise kParamsBytes");
    return *reinterpret_cast<const Params*>(params);
  }
};

// Nodes that run frame by frame: from one that reads a later node's value to that node. All their values have one
// clock.
struct Loop {
  uint32_t first;
  uint32_t last;
};

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_GRAPH_GRAPH_H_
