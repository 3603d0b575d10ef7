// The shared part of LSTM and plain recurrent layer: gates that are one chain each.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_LAYERS_GATES_H_
#define GRUCORE_LAYERS_GATES_H_

#include "layers/recurrent.h"

namespace grucore {
namespace detail {

struct GateParams : RecurrentParams {
  GateActivations activations;
  const float* initial_cell;  // LSTM; null: zeros
  uint32_t gates;             // 4 of an LSTM, else 1
};

// Weights, bias, and the initial cell state where the layer may have one.
Status parse_gate_tensors(const NodeSource& source, uint32_t gates, bool has_cell, GateParams* params);

struct GatePlan : RecurrentPlan {
  GateStepArgs pieces;
  FloatCell cell;
  FloatStepArgs whole;  // of one kernel, with that cell: a single row
};

// The hooks of a kind whose params are GateParams.
uint64_t gate_macs(const void* params);
uint32_t gate_products(const void* params);
bool gates_read_future(const void* params);
uint64_t gate_scratch(const void* params, const KernelTable& table, uint32_t batch, uint32_t frames);
void plan_gates(const Node& node, const NodeMemory& memory, const StreamShape& shape);
void run_gates(const Node& node, const NodeMemory& memory, const Block& block);

constexpr LayerKind gate_layer(uint32_t number, const char* name, Status (*parse)(const NodeSource&, void*),
                               uint32_t (*states)(const void*, StateSpec*)) {
  LayerKind kind = {number, name, parse, run_gates};
  kind.reads_future = gates_read_future;
  kind.macs = gate_macs;
  kind.products = gate_products;
  kind.states = states;
  kind.scratch_floats = gate_scratch;
  kind.plan_bytes = sizeof(GatePlan);
  kind.plan = plan_gates;
  return kind;
}

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_LAYERS_GATES_H_
