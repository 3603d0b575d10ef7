// The plain recurrent layer, one direction.
// SPDX-License-Identifier: Apache-2.0
#include "layers/gates.h"

namespace grucore {
namespace detail {

namespace {

Status parse(const NodeSource& source, void* out) {
  GateParams& params = *new_params<GateParams>(out);
  GRUCORE_TRY(parse_recurrent_values(source, &params));
  GRUCORE_TRY(source.expect_attributes(5));
  GRUCORE_TRY(parse_direction(source, 0, &params));
  GateActivations& activations = params.activations;
  GRUCORE_TRY(source.activation(2, kActivationCount, &activations.candidate));
  activations.is_standard = activations.candidate.code == ActivationCode::kTanh;
  return parse_gate_tensors(source, 1, false, &params);
}

uint32_t states(const void* params, StateSpec* out) {
  const GateParams& p = *static_cast<const GateParams*>(params);
  *out = {".h", 0, p.weight_hh.rows, true, p.initial_state};
  return 1;
}

}  // namespace

extern const LayerKind kRnnLayer;
const LayerKind kRnnLayer = gate_layer(18, "rnn", parse, states);

}  // namespace detail
}  // namespace grucore
