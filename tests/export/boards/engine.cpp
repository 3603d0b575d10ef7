// SPDX-License-Identifier: Apache-2.0
// The engine of an exported model as main.c calls it: its test vector, and a frame of it.
#include <string.h>

#include "grucore.h"
#include "model_frames.h"
#include "model_model.h"

namespace {

alignas(grucore::kAlignment) unsigned char model_memory[MODEL_MODEL_BYTES];
alignas(grucore::kAlignment) unsigned char stream_memory[MODEL_STREAM_BYTES];
const grucore::Model* model = nullptr;
grucore::Stream* stream = nullptr;
float y[64];

void load() {
  const grucore::StreamOptions options;
  (void)grucore::load(model_file, sizeof model_file, grucore::best_isa(), model_memory, sizeof model_memory, &model);
  if (model) (void)grucore::init_stream(model, options, stream_memory, sizeof stream_memory, &stream);
}

}  // namespace

void engine_reset(void) { grucore::reset(stream); }

// True if the output was written: a model with a stride has none at some frames.
static bool step(uint32_t t) {
  const float* x = static_cast<const float*>(grucore::test_input(model, 0).data);
  const void* inputs[] = {x + t * grucore::input_info(model, 0).features};
  void* outputs[] = {y};
  return (grucore::step(stream, inputs, outputs) & 1) != 0;
}

void engine_step(uint32_t t) { (void)step(t); }

extern "C" {
void engine_begin(void);
void engine_run(const float* x, float* y);
}
void engine_begin(void) { load(); }
void engine_run(const float* x, float* y_out) {
  const void* inputs[] = {x};
  void* outputs[] = {y_out};
  (void)grucore::step(stream, inputs, outputs);
}

uint32_t engine_test(void) {
  load();
  if (!stream) return 1000;
  const uint32_t features = grucore::output_info(model, 0).features;
  const grucore::TestVector of = grucore::test_output(model, 0);
  const float* expected = static_cast<const float*>(of.data);
  uint32_t different = 0, frames = 0;
  for (uint32_t t = 0; t < MODEL_FRAMES; ++t) {
    if (!step(t)) continue;
    ++frames;
    for (uint32_t i = 0; i < features; ++i) different += memcmp(y + i, expected++, sizeof y[i]) != 0;
  }
  return different + (frames != of.frames);
}
