/* The C interface, from C, without the C++ library: a small model replays its test vector.
   SPDX-License-Identifier: Apache-2.0 */
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include "grucore/grucore_c.h"
#include "small_model.h"

enum { kMaxOutputs = 2, kMaxFloats = 512 };

static alignas(64) unsigned char model_memory[16384], stream_memory[16384], copy[sizeof small_model];
static int failures = 0;

#define CHECK(condition)                                             \
  do {                                                               \
    if (!(condition)) {                                              \
      ++failures;                                                    \
      printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
    }                                                                \
  } while (0)

static const grucore_model* load(grucore_isa isa) {
  const grucore_model* model = NULL;
  size_t bytes = 0;
  CHECK(grucore_plan_model(small_model, sizeof small_model, &bytes, NULL) == GRUCORE_kOk);
  CHECK(bytes > 0 && bytes <= sizeof model_memory);
  CHECK(grucore_load(small_model, sizeof small_model, isa, model_memory, bytes, &model, NULL) == GRUCORE_kOk);
  return model;
}

static grucore_stream* open_stream(const grucore_model* model, uint32_t block) {
  const grucore_stream_options options = {1, block, 0};
  grucore_stream* stream = NULL;
  size_t bytes = 0;
  CHECK(grucore_plan_stream(model, &options, &bytes) == GRUCORE_kOk);
  CHECK(bytes <= sizeof stream_memory);
  CHECK(grucore_init_stream(model, &options, stream_memory, bytes, &stream) == GRUCORE_kOk);
  return stream;
}

static void check_info(const grucore_model* model) {
  CHECK(grucore_input_count(model) == 1 && grucore_output_count(model) == kMaxOutputs);
  const grucore_port x = grucore_input_info(model, 0), last = grucore_output_info(model, 1);
  CHECK(x.name.length == 1 && x.name.bytes[0] == 'x' && x.rate == 0 && x.dtype == 0 && x.features == 10);
  CHECK(last.rate == 2 && last.features == 20 && x.period == 1 && x.skip == 0);
  CHECK(grucore_version() == GRUCORE_VERSION &&
        GRUCORE_VERSION == GRUCORE_VERSION_MAJOR * 10000 + GRUCORE_VERSION_MINOR * 100 + GRUCORE_VERSION_PATCH);
  const grucore_state state = grucore_state_info(model, 1);
  CHECK(grucore_state_count(model) == 3 && state.size == 20 && state.is_public);
  CHECK(state.node.length == 6 && memcmp(state.node.bytes, "gru.l1", 6) == 0 && strcmp(state.suffix, ".h") == 0);
  CHECK(grucore_first_unstreamable_node(model) == GRUCORE_NONE);
  CHECK(grucore_node_name(model, 2).length == 6);
  CHECK(grucore_model_metadata(model).length == 2);
  CHECK(grucore_macs_per_frame(model) == 3 * 20 * (10 + 20) + 3 * 20 * (20 + 20) + 3 * 20);
}

static void check_vector(const grucore_model* model) {
  static float step_out[kMaxFloats], last_out[kMaxFloats], run_out[kMaxFloats], run_last[kMaxFloats], h[kMaxFloats];
  const uint32_t in = grucore_input_info(model, 0).features, out = grucore_output_info(model, 0).features;
  const uint32_t hidden = grucore_output_info(model, 1).features;
  const grucore_test_vector x = grucore_test_input(model, 0), y = grucore_test_output(model, 0);
  const size_t y_bytes = sizeof(float) * y.frames * out, last_bytes = sizeof(float) * hidden;
  grucore_stream* stream = open_stream(model, 3);
  CHECK(x.frames > 0 && x.frames * out <= kMaxFloats && hidden <= kMaxFloats);
  for (int round = 0; round < 2; ++round) {
    for (uint32_t t = 0; t < x.frames; ++t) {
      const void* inputs[1] = {(const float*)x.data + t * in};
      void* outputs[kMaxOutputs] = {step_out + t * out, last_out};
      CHECK(grucore_step(stream, inputs, outputs) == 3);
    }
    grucore_get_state(stream, 1, 0, h);
    CHECK(memcmp(h, last_out, last_bytes) == 0);
    grucore_reset(stream);
  }
  const grucore_const_signal run_in = {x.data, 0, in};
  const grucore_signal run_outputs[kMaxOutputs] = {{run_out, 0, out}, {run_last, 0, 0}};
  grucore_run(stream, x.frames, &run_in, run_outputs, NULL);
  CHECK(memcmp(step_out, run_out, y_bytes) == 0 && memcmp(last_out, run_last, last_bytes) == 0);
  CHECK(grucore_take_flags(stream) == 0);
  if (grucore_model_numerics(model) != 1) return; /* the vector is of the fused class */
  CHECK(memcmp(step_out, y.data, y_bytes) == 0);
  CHECK(memcmp(last_out, grucore_test_output(model, 1).data, last_bytes) == 0);
}

/* A copy goes on where the other stream is, and both give the same. */
static void check_copy(const grucore_model* model) {
  static alignas(64) unsigned char other_memory[16384];
  static float frames[kMaxFloats], first[kMaxFloats], second[kMaxFloats], last[kMaxFloats];
  const grucore_stream_options options = {1, 1, 0};
  const uint32_t in = grucore_input_info(model, 0).features, out = grucore_output_info(model, 0).features;
  grucore_stream *stream = open_stream(model, 4), *other = NULL;
  CHECK(grucore_init_stream(model, &options, other_memory, sizeof other_memory, &other) == GRUCORE_kOk);
  for (uint32_t i = 0; i < 4 * in; ++i) frames[i] = (float)(i % 5) / 4 - 0.5f;
  const void* inputs[1] = {frames};
  void* outputs[kMaxOutputs] = {first, last};
  CHECK(grucore_output_frames(stream, 0, 0, 4) == 4 && grucore_output_frames(stream, 1, 0, 4) == 1);
  CHECK(grucore_step(stream, inputs, outputs) == 3);
  grucore_copy_stream(stream, other);
  CHECK(grucore_step(stream, inputs, outputs) == 3);
  outputs[0] = second;
  CHECK(grucore_step(other, inputs, outputs) == 3);
  CHECK(memcmp(first, second, out * sizeof(float)) == 0);
}

static void check_refusals(void) {
  const grucore_model* model = NULL;
  grucore_report report;
  size_t bytes = 7;
  memcpy(copy, small_model, sizeof copy);
  copy[0] = 'P';
  CHECK(grucore_plan_model(copy, sizeof copy, &bytes, &report) == GRUCORE_kBadMagic && bytes == 7);
  CHECK(report.status == GRUCORE_kBadMagic && report.offset == 0 && report.found == 'P');
  copy[0] = small_model[0];
  copy[sizeof copy - 1] ^= 1;
  CHECK(grucore_load(copy, sizeof copy, GRUCORE_ISA_scalar, model_memory, sizeof model_memory, &model, &report) ==
        GRUCORE_kBadChecksum);
  CHECK(model == NULL && report.status == GRUCORE_kBadChecksum);
  CHECK(grucore_load(small_model, sizeof small_model, 1000, model_memory, sizeof model_memory, &model, NULL) ==
        GRUCORE_kUnsupportedIsa);
  CHECK(strcmp(grucore_status_name(GRUCORE_kBadMagic), "kBadMagic") == 0);
  CHECK(strlen(grucore_status_meaning(GRUCORE_kBadMagic)) > 10);
  CHECK(strcmp(grucore_status_name(1000), "") == 0 && strcmp(grucore_isa_name(1000), "") == 0);
}

int main(void) {
  int tables = 0;
  check_refusals();
  for (grucore_isa isa = 0; isa < 256; ++isa) {
    if (!grucore_isa_supported(isa)) continue;
    ++tables;
    const grucore_model* model = load(isa);
    if (!model) continue;
    CHECK(grucore_model_isa(model) == isa);
    check_info(model);
    check_vector(model);
    check_copy(model);
  }
  CHECK(tables > 0 && grucore_isa_supported(grucore_best_isa()));
  printf("c_api_test: %d tables, %d failed: %s\n", tables, failures, failures ? "FAILED" : "ok");
  return failures != 0;
}
