// The facts that a model tells of itself, and the names of statuses.
// SPDX-License-Identifier: Apache-2.0
#include "layers/layer.h"
#include "model/model.h"

namespace grucore {

uint32_t version() { return GRUCORE_VERSION; }

// A text is an object of its own, which a linker leaves out where nothing asks for it: literals of a whole file may
// share a section.
#define GRUCORE_TEXT_CASE(of, text)       \
  case of: {                              \
    static constexpr char kText[] = text; \
    return kText;                         \
  }

const char* status_name(Status status) {
  switch (status) {
#define GRUCORE_STATUS(name, number, python, meaning) GRUCORE_TEXT_CASE(Status::name, #name)
#include "grucore/status.inc"
#undef GRUCORE_STATUS
  }
  return "";
}

const char* status_meaning(Status status) {
  switch (status) {
#define GRUCORE_STATUS(name, number, python, meaning) GRUCORE_TEXT_CASE(Status::name, meaning)
#include "grucore/status.inc"
#undef GRUCORE_STATUS
  }
  return "";
}

const char* role_name(uint32_t role) {
  switch (role) {
#define GRUCORE_ROLE(enumerator, number, name) GRUCORE_TEXT_CASE(number, #name)
#include "format/roles.inc"
#undef GRUCORE_ROLE
    default: return "";
  }
}

#undef GRUCORE_TEXT_CASE

namespace {

PortInfo port_of(const detail::Value& value) {
  return {value.name, value.features, value.period, value.skip, value.ids, value.dtype, value.rate};
}

}  // namespace

Isa model_isa(const Model* model) { return model->table->isa; }
Numerics model_numerics(const Model* model) { return model->numerics; }
bool rounds_activations(const Model* model) { return model->rounds_activations; }
uint32_t input_count(const Model* model) { return model->input_count; }
uint32_t output_count(const Model* model) { return model->output_count; }
PortInfo input_info(const Model* model, uint32_t index) { return port_of(model->values[model->inputs[index]]); }
PortInfo output_info(const Model* model, uint32_t index) { return port_of(model->values[model->outputs[index]]); }
uint32_t state_count(const Model* model) { return model->state_count; }

StateInfo state_info(const Model* model, uint32_t index) {
  const detail::State& state = model->states[index];
  const detail::StateSpec& spec = state.spec;
  return {model->nodes[state.node].name, spec.suffix, spec.size(), spec.frames, spec.channels, spec.is_public};
}

TestVector test_input(const Model* model, uint32_t index) {
  if (model->test_frames == 0) return {nullptr, 0};
  return {model->tensors[model->first_test_tensor + index].data, model->test_frames};
}

TestVector test_output(const Model* model, uint32_t index) {
  if (model->test_frames == 0) return {nullptr, 0};
  const detail::Tensor& tensor = model->tensors[model->first_test_tensor + model->input_count + index];
  return {tensor.data, tensor.rank == 2 ? tensor.shape[0] : 1};
}

Text model_metadata(const Model* model) { return model->metadata; }
uint32_t first_unstreamable_node(const Model* model) { return model->first_unstreamable; }
Text node_name(const Model* model, uint32_t node) { return model->nodes[node].name; }
uint64_t macs_per_frame(const Model* model) { return model->macs_per_frame; }

}  // namespace grucore
