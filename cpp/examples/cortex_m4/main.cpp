// A model in flash: loads it in place, replays its test vector and compares the bits with the host's.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "board.h"
#include "grucore/grucore.h"
#include "small_model.h"

namespace {

constexpr uint32_t kMaxOutputs = 2;
constexpr uint32_t kCalibration = 2000000;  // instructions
alignas(grucore::kAlignment) unsigned char model_memory[3072];
alignas(grucore::kAlignment) unsigned char stream_memory[5120];
float outputs_of_frame[kMaxOutputs][64];

uint32_t instructions_of(uint32_t ticks) { return ticks / 25 * (kInstructionsIn1000Ticks / 40); }

void print_row(const char* name, uint32_t number) {
  print(name);
  print(number);
  print("\n");
}

// The number, as in status.inc: grucore::status_meaning would take 2 kB of texts.
int fail(const char* what, grucore::Status status) {
  print(what);
  print(": status ");
  print(static_cast<uint32_t>(status));
  print("\n");
  return 1;
}

// Floats of the test vector that differ.
uint32_t replay(const grucore::Model* model, grucore::Stream* stream) {
  const grucore::TestVector x = grucore::test_input(model, 0);
  const grucore::PortInfo y = grucore::output_info(model, 0);
  const uint32_t features = grucore::input_info(model, 0).features;
  const float* expected = static_cast<const float*>(grucore::test_output(model, 0).data);
  uint32_t different = 0;
  for (uint32_t t = 0; t < x.frames; ++t) {
    const void* inputs[] = {static_cast<const float*>(x.data) + t * features};
    void* outputs[kMaxOutputs] = {outputs_of_frame[0], outputs_of_frame[1]};
    (void)grucore::step(stream, inputs, outputs);
    different += memcmp(outputs_of_frame[0], expected + t * y.features, y.features * sizeof(float)) != 0;
  }
  if (grucore::output_count(model) == 2) {
    const uint32_t last = grucore::output_info(model, 1).features;
    different += memcmp(outputs_of_frame[1], grucore::test_output(model, 1).data, last * sizeof(float)) != 0;
  }
  return different;
}

}  // namespace

int main() {
  grucore::MemoryPlan model_plan, stream_plan;
  grucore::Status status = grucore::plan_model(small_model, sizeof small_model, &model_plan);
  if (status != grucore::Status::kOk) return fail("plan", status);
  const grucore::Model* model = nullptr;
  status =
      grucore::load(small_model, sizeof small_model, grucore::best_isa(), model_memory, sizeof model_memory, &model);
  if (status != grucore::Status::kOk) return fail("load", status);
  const grucore::StreamOptions options;
  grucore::Stream* stream = nullptr;
  status = grucore::plan_stream(model, options, &stream_plan);
  if (status != grucore::Status::kOk) return fail("plan of the stream", status);
  status = grucore::init_stream(model, options, stream_memory, sizeof stream_memory, &stream);
  if (status != grucore::Status::kOk) return fail("stream", status);
  const uint32_t different = replay(model, stream);
  grucore::reset(stream);
  start_ticks();
  const uint32_t different_again = replay(model, stream);
  const uint32_t instructions = instructions_of(ticks());
  start_ticks();
  loop(kCalibration / 2);
  const uint32_t calibrated = instructions_of(ticks());

  print_row("model_arena         ", static_cast<uint32_t>(model_plan.bytes));
  print_row("stream_arena        ", static_cast<uint32_t>(stream_plan.bytes));
  print_row("stack               ", stack_bytes_used());
  print_row("instructions/frame  ", instructions / grucore::test_input(model, 0).frames);
  print_row("calibration         ", calibrated);
  if (grucore::model_numerics(model) == grucore::Numerics::kMulAdd || different || different_again) {
    print_row("frames              ", different);
    print("the test vector differs from the host's\n");
    return 1;
  }
  print("ok\n");
  return 0;
}
