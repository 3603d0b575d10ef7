// The C interface: each function hands over to its namesake in grucore.h.
// SPDX-License-Identifier: Apache-2.0
#include "grucore/grucore_c.h"

#include "grucore/grucore.h"

namespace {

using grucore::LoadReport;
using grucore::MemoryPlan;
using grucore::Status;

const grucore::Model* of(const grucore_model* model) { return reinterpret_cast<const grucore::Model*>(model); }
const grucore::Stream* of(const grucore_stream* stream) { return reinterpret_cast<const grucore::Stream*>(stream); }
grucore::Stream* of(grucore_stream* stream) { return reinterpret_cast<grucore::Stream*>(stream); }

grucore_text of(const grucore::Text& text) { return {text.bytes, text.length}; }
grucore_port of(const grucore::PortInfo& port) {
  return {of(port.name),
          port.features,
          port.period,
          port.skip,
          port.ids,
          static_cast<uint32_t>(port.dtype),
          static_cast<uint32_t>(port.rate)};
}
grucore::StreamOptions of(const grucore_stream_options& options) {
  return {options.batch, options.block, options.hold ? grucore::Nonfinite::kHold : grucore::Nonfinite::kPropagate};
}

grucore_status answer(Status status, const LoadReport& from, grucore_report* to) {
  if (status != Status::kOk && to) {
    *to = {static_cast<grucore_status>(status),
           from.node,
           from.role,
           of(from.node_name),
           from.offset,
           from.found,
           from.expected};
  }
  return static_cast<grucore_status>(status);
}

// The signals are handed over as they lie.
static_assert(sizeof(grucore_const_signal) == sizeof(grucore::ConstSignal), "one layout");
static_assert(sizeof(grucore_signal) == sizeof(grucore::Signal), "one layout");
static_assert(offsetof(grucore_signal, frame_stride) == offsetof(grucore::Signal, frame_stride), "one layout");
static_assert(GRUCORE_NONE == grucore::kNone && GRUCORE_ALIGNMENT == grucore::kAlignment, "one number");
static_assert(GRUCORE_FLAG_NONFINITE_INPUT == grucore::kFlagNonfiniteInput, "one number");
static_assert(GRUCORE_FLAG_NONFINITE_OUTPUT == grucore::kFlagNonfiniteOutput, "one number");

// A number beyond the list must not become one within it by conversion.
Status status_of(grucore_status status) { return static_cast<Status>(status < 255 ? status : 255); }
grucore::Isa isa_of(grucore_isa isa) { return static_cast<grucore::Isa>(isa < 255 ? isa : 255); }

}  // namespace

uint32_t grucore_version(void) { return grucore::version(); }

const char* grucore_status_name(grucore_status status) { return grucore::status_name(status_of(status)); }
const char* grucore_status_meaning(grucore_status status) { return grucore::status_meaning(status_of(status)); }

const char* grucore_role_name(uint32_t role) { return grucore::role_name(role); }

const char* grucore_isa_name(grucore_isa isa) { return grucore::isa_name(isa_of(isa)); }
int grucore_isa_supported(grucore_isa isa) { return grucore::isa_supported(isa_of(isa)) ? 1 : 0; }
grucore_isa grucore_best_isa(void) { return static_cast<grucore_isa>(grucore::best_isa()); }

grucore_status grucore_plan_model(const void* file, size_t file_bytes, size_t* arena_bytes, grucore_report* report) {
  MemoryPlan plan;
  LoadReport details;
  const Status status = grucore::plan_model(file, file_bytes, &plan, &details);
  if (status == Status::kOk) *arena_bytes = plan.bytes;
  return answer(status, details, report);
}

grucore_status grucore_load(const void* file, size_t file_bytes, grucore_isa isa, void* arena, size_t arena_bytes,
                            const grucore_model** model, grucore_report* report) {
  const grucore::Model* loaded = nullptr;
  LoadReport details;
  const Status status = grucore::load(file, file_bytes, isa_of(isa), arena, arena_bytes, &loaded, &details);
  if (status == Status::kOk) *model = reinterpret_cast<const grucore_model*>(loaded);
  return answer(status, details, report);
}

grucore_isa grucore_model_isa(const grucore_model* model) {
  return static_cast<grucore_isa>(grucore::model_isa(of(model)));
}
uint32_t grucore_model_numerics(const grucore_model* model) {
  return static_cast<uint32_t>(grucore::model_numerics(of(model)));
}
int grucore_rounds_activations(const grucore_model* model) { return grucore::rounds_activations(of(model)) ? 1 : 0; }
uint32_t grucore_input_count(const grucore_model* model) { return grucore::input_count(of(model)); }
uint32_t grucore_output_count(const grucore_model* model) { return grucore::output_count(of(model)); }
grucore_port grucore_input_info(const grucore_model* model, uint32_t index) {
  return of(grucore::input_info(of(model), index));
}
grucore_port grucore_output_info(const grucore_model* model, uint32_t index) {
  return of(grucore::output_info(of(model), index));
}
uint32_t grucore_state_count(const grucore_model* model) { return grucore::state_count(of(model)); }
grucore_state grucore_state_info(const grucore_model* model, uint32_t index) {
  const grucore::StateInfo state = grucore::state_info(of(model), index);
  return {of(state.node), state.suffix, state.size, state.frames, state.channels, state.is_public ? 1 : 0};
}
grucore_test_vector grucore_test_input(const grucore_model* model, uint32_t index) {
  const grucore::TestVector vector = grucore::test_input(of(model), index);
  return {vector.data, vector.frames};
}
grucore_test_vector grucore_test_output(const grucore_model* model, uint32_t index) {
  const grucore::TestVector vector = grucore::test_output(of(model), index);
  return {vector.data, vector.frames};
}
grucore_text grucore_model_metadata(const grucore_model* model) { return of(grucore::model_metadata(of(model))); }
uint32_t grucore_first_unstreamable_node(const grucore_model* model) {
  return grucore::first_unstreamable_node(of(model));
}
grucore_text grucore_node_name(const grucore_model* model, uint32_t node) {
  return of(grucore::node_name(of(model), node));
}
uint64_t grucore_macs_per_frame(const grucore_model* model) { return grucore::macs_per_frame(of(model)); }

grucore_status grucore_plan_stream(const grucore_model* model, const grucore_stream_options* options,
                                   size_t* arena_bytes) {
  MemoryPlan plan;
  const Status status = grucore::plan_stream(of(model), of(*options), &plan);
  if (status == Status::kOk) *arena_bytes = plan.bytes;
  return static_cast<grucore_status>(status);
}

grucore_status grucore_init_stream(const grucore_model* model, const grucore_stream_options* options, void* arena,
                                   size_t arena_bytes, grucore_stream** stream) {
  grucore::Stream* made = nullptr;
  const Status status = grucore::init_stream(of(model), of(*options), arena, arena_bytes, &made);
  if (status == Status::kOk) *stream = reinterpret_cast<grucore_stream*>(made);
  return static_cast<grucore_status>(status);
}

void grucore_reset(grucore_stream* stream) { grucore::reset(of(stream)); }
void grucore_reset_rows(grucore_stream* stream, const uint32_t* rows, uint32_t count) {
  grucore::reset_rows(of(stream), rows, count);
}

uint64_t grucore_step(grucore_stream* stream, const void* const* inputs, void* const* outputs) {
  return grucore::step(of(stream), inputs, outputs);
}
uint64_t grucore_step_rows(grucore_stream* stream, const void* const* inputs, void* const* outputs,
                           const uint32_t* rows, uint32_t count) {
  return grucore::step_rows(of(stream), inputs, outputs, rows, count);
}

uint32_t grucore_output_frames(const grucore_stream* stream, uint32_t output, uint32_t row, uint32_t frames) {
  return grucore::output_frames(of(stream), output, row, frames);
}

void grucore_run(grucore_stream* stream, uint32_t frames, const grucore_const_signal* inputs,
                 const grucore_signal* outputs, const uint32_t* lengths) {
  grucore::run(of(stream), frames, reinterpret_cast<const grucore::ConstSignal*>(inputs),
               reinterpret_cast<const grucore::Signal*>(outputs), lengths);
}

void grucore_get_state(const grucore_stream* stream, uint32_t state, uint32_t row, float* out) {
  grucore::get_state(of(stream), state, row, out);
}
void grucore_set_state(grucore_stream* stream, uint32_t state, uint32_t row, const float* values) {
  grucore::set_state(of(stream), state, row, values);
}

void grucore_copy_stream(const grucore_stream* from, grucore_stream* to) { grucore::copy_stream(of(from), of(to)); }

uint32_t grucore_take_flags(grucore_stream* stream) { return grucore::take_flags(of(stream)); }
