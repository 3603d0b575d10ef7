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

void engine_step(uint32_t t) {
  const float* x = static_cast<const float*>(grucore::test_input(model, 0).data);
  const void* inputs[] = {x + t * grucore::input_info(model, 0).features};
  void* outputs[] = {y};
  (void)grucore::step(stream, inputs, outputs);
}

uint32_t engine_test(void) {
  load();
  if (!stream) return 1000;
  const uint32_t features = grucore::output_info(model, 0).features;
  const float* expected = static_cast<const float*>(grucore::test_output(model, 0).data);
  uint32_t different = 0;
  for (uint32_t t = 0; t < MODEL_FRAMES; ++t) {
    engine_step(t);
    for (uint32_t i = 0; i < features; ++i) different += memcmp(y + i, expected + t * features + i, sizeof y[i]) != 0;
  }
  return different;
}
