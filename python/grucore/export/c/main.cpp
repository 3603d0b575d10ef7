// SPDX-License-Identifier: Apache-2.0
// An example: loads the model where it lies in flash, and runs a stream; the test vector, if there is one,
// has to come out bit for bit. Returns how many outputs differ, or 100 and more where something failed.
#include <string.h>

#include "@PREFIX@_model.h"
#include "grucore.h"

namespace {

alignas(grucore::kAlignment) unsigned char model_memory[@UPPER@_MODEL_BYTES];
alignas(grucore::kAlignment) unsigned char stream_memory[@UPPER@_STREAM_BYTES];
@OUTPUTS@
// Outputs that come with every frame are compared with the test vector.
constexpr bool kEveryFrame[] = {@EVERY@};
constexpr uint32_t kInputs = @INPUT_COUNT@, kOutputs = @OUTPUT_COUNT@;

}  // namespace

int main() {
  const grucore::Model* model = nullptr;
  if (grucore::load(@PREFIX@_file, sizeof @PREFIX@_file, grucore::best_isa(), model_memory, sizeof model_memory, &model) !=
      grucore::Status::kOk) {
    return 100;
  }
  const grucore::StreamOptions options;
  grucore::Stream* stream = nullptr;
  if (grucore::init_stream(model, options, stream_memory, sizeof stream_memory, &stream) != grucore::Status::kOk) {
    return 101;
  }
  // The other class of float products has other bits.
  if (grucore::model_numerics(model) == grucore::Numerics::kMulAdd) return 0;
  int different = 0;
  const grucore::TestVector first = grucore::test_input(model, 0);
  for (uint32_t t = 0; t < first.frames; ++t) {
    const void* inputs[kInputs];
    for (uint32_t i = 0; i < kInputs; ++i) {
      const size_t at = size_t{t} * grucore::input_info(model, i).features * 4;
      inputs[i] = static_cast<const unsigned char*>(grucore::test_input(model, i).data) + at;
    }
    void* outputs[kOutputs] = {@POINTERS@};
    (void)grucore::step(stream, inputs, outputs);
    for (uint32_t i = 0; i < kOutputs; ++i) {
      const size_t bytes = size_t{grucore::output_info(model, i).features} * 4;
      const unsigned char* expected = static_cast<const unsigned char*>(grucore::test_output(model, i).data);
      if (kEveryFrame[i]) different += memcmp(outputs[i], expected + t * bytes, bytes) != 0;
    }
  }
  return different;
}
