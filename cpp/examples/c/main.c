/* Steps a model through frames of floats: raw float32 on standard input, raw float32 on standard output.
   SPDX-License-Identifier: Apache-2.0
   Usage: streaming MODEL.gru < frames.f32 > scores.f32

   Memory is taken at the start, from malloc here; a firmware has static arrays in its place. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "grucore/grucore_c.h"

/* Zero bytes aligned as the engine wants them, for as long as the program runs. */
static void* aligned(size_t bytes) {
  unsigned char* memory = calloc(1, bytes + GRUCORE_ALIGNMENT);
  if (memory == NULL) exit(1);
  return memory + (GRUCORE_ALIGNMENT - (uintptr_t)memory % GRUCORE_ALIGNMENT);
}

static void* read_file(const char* path, size_t* bytes) {
  FILE* file = fopen(path, "rb");
  void* memory = NULL;
  long length = -1;
  if (file != NULL && fseek(file, 0, SEEK_END) == 0) length = ftell(file);
  if (length > 0) {
    rewind(file);
    memory = aligned((size_t)length);
    *bytes = fread(memory, 1, (size_t)length, file);
  }
  if (file != NULL) fclose(file);
  return memory;
}

static void check(grucore_status status) {
  if (status == GRUCORE_kOk) return;
  fprintf(stderr, "%s: %s\n", grucore_status_name(status), grucore_status_meaning(status));
  exit(1);
}

int main(int argc, char** argv) {
  size_t file_bytes = 0, model_bytes = 0, stream_bytes = 0;
  void* file = argc == 2 ? read_file(argv[1], &file_bytes) : NULL;
  if (file == NULL) {
    fprintf(stderr, "usage: streaming MODEL.gru < frames.f32 > scores.f32\n");
    return 2;
  }
  const grucore_model* model = NULL;
  check(grucore_plan_model(file, file_bytes, &model_bytes, NULL));
  check(grucore_load(file, file_bytes, grucore_best_isa(), aligned(model_bytes), model_bytes, &model, NULL));

  const grucore_stream_options options = {1, 1, 0};
  grucore_stream* stream = NULL;
  check(grucore_plan_stream(model, &options, &stream_bytes));
  check(grucore_init_stream(model, &options, aligned(stream_bytes), stream_bytes, &stream));

  const uint32_t in = grucore_input_info(model, 0).features, count = grucore_output_count(model);
  if (grucore_input_count(model) != 1 || grucore_first_unstreamable_node(model) != GRUCORE_NONE) {
    fprintf(stderr, "%s: wants one input and no reverse direction\n", argv[1]);
    return 1;
  }
  float* frame = aligned(in * sizeof(float));
  void** outputs = aligned(count * sizeof(void*));
  for (uint32_t i = 0; i < count; ++i) outputs[i] = aligned(grucore_output_info(model, i).features * sizeof(float));

  while (fread(frame, sizeof(float), in, stdin) == in) {
    const void* inputs[1] = {frame};
    const uint64_t written = grucore_step(stream, inputs, outputs);
    if (written & 1) fwrite(outputs[0], sizeof(float), grucore_output_info(model, 0).features, stdout);
  }
  return fflush(stdout) != 0;
}
