// The LSTM layer, one direction.
// SPDX-License-Identifier: Apache-2.0
#include "layers/gates.h"

namespace grucore {
namespace detail {

namespace {

constexpr uint32_t kGates = 4;  // i, f, g, o

Status parse(const NodeSource& source, void* out) {
  GateParams& params = *new_params<GateParams>(out);
  GRUCORE_TRY(parse_recurrent_values(source, &params));
  GRUCORE_TRY(source.expect_attributes(11));
  GRUCORE_TRY(parse_direction(source, 0, &params));
  GateActivations& activations = params.activations;
  GRUCORE_TRY(source.activation(2, kActivationCount, &activations.gate));
  GRUCORE_TRY(source.activation(5, kActivationCount, &activations.candidate));
  GRUCORE_TRY(source.activation(8, kActivationCount, &activations.cell));
  activations.is_standard = activations.gate.code == ActivationCode::kSigmoid &&
                            activations.candidate.code == ActivationCode::kTanh &&
                            activations.cell.code == ActivationCode::kTanh;
  return parse_gate_tensors(source, kGates, true, &params);
}

uint32_t states(const void* params, StateSpec* out) {
  const GateParams& p = *static_cast<const GateParams*>(params);
  out[0] = {".h", 0, p.weight_hh.rows, true, p.initial_state};
  out[1] = {".c", 0, p.weight_hh.rows, true, p.initial_cell};
  return 2;
}

}  // namespace

extern const LayerKind kLstmLayer;
const LayerKind kLstmLayer = gate_layer(17, "lstm", parse, states);

}  // namespace detail
}  // namespace grucore
