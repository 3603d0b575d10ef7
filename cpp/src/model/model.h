// A model in memory: what load builds in the caller's arena, and what never changes afterwards.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_MODEL_MODEL_H_
#define GRUCORE_MODEL_MODEL_H_

#include "graph/graph.h"
#include "grucore/grucore.h"
#include "kernels/kernel_table.h"

namespace grucore {

struct Model {
  const detail::KernelTable* table;
  const detail::Value* values;
  const detail::Node* nodes;
  const detail::Tensor* tensors;
  const uint32_t* inputs;       // value indices
  const uint32_t* outputs;      // value indices
  const detail::State* states;  // those of a node side by side, in the order of nodes
  const detail::Clock* clocks;  // the first one ticks at every frame
  const detail::Loop* loops;    // in the order of nodes, none within another
  Text metadata;
  uint64_t macs_per_frame;
  uint32_t value_count;
  uint32_t node_count;
  uint32_t input_count;
  uint32_t output_count;
  uint32_t state_count;
  uint32_t clock_count;
  uint32_t loop_count;
  uint32_t first_test_tensor;  // inputs' vectors, then outputs'
  uint32_t test_frames;        // 0: no test vector
  uint32_t first_unstreamable;
  Numerics numerics;
  bool rounds_activations;
};

}  // namespace grucore

#endif  // GRUCORE_MODEL_MODEL_H_
