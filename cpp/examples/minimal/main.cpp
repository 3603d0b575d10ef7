// Loads a model, replays the test vector that its file carries, and prints the last frame's outputs.
// SPDX-License-Identifier: Apache-2.0
// Usage: minimal MODEL.gru
#include <algorithm>
#include <cstdio>
#include <exception>
#include <vector>

#include "grucore/grucore.hpp"

namespace {

int replay(const char* path) {
  const grucore::SharedModel model = grucore::SharedModel::load(path);
  grucore::OwnedStream stream(model);
  std::printf("%s on %s, %u -> %u\n", path, grucore::isa_name(grucore::model_isa(model.get())), model.input_features(),
              model.output_features());

  // A buffer for each output. A model with a single one would use stream.step(frame, out).
  std::vector<std::vector<float>> values;
  std::vector<void*> outputs;
  for (uint32_t i = 0; i < grucore::output_count(model.get()); ++i) values.emplace_back(model.output_features(i));
  for (std::vector<float>& value : values) outputs.push_back(value.data());

  const grucore::TestVector x = grucore::test_input(model.get(), 0), y = grucore::test_output(model.get(), 0);
  const uint32_t in = model.input_features(), out = model.output_features();
  float largest = 0;
  for (uint32_t t = 0; t < x.frames; ++t) {
    const void* inputs[] = {static_cast<const float*>(x.data) + t * in};
    if (!(stream.step(inputs, outputs.data()) & 1) || y.frames != x.frames) continue;
    const float* expected = static_cast<const float*>(y.data) + t * out;
    for (uint32_t i = 0; i < out; ++i) largest = std::max(largest, std::abs(values[0][i] - expected[i]));
  }
  for (float value : values[0]) std::printf("%g ", static_cast<double>(value));
  std::printf("\n%u frames, largest difference from the test vector %g\n", x.frames, static_cast<double>(largest));
  return largest <= 1e-5f ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: minimal MODEL.gru\n");
    return 2;
  }
  try {
    return replay(argv[1]);
  } catch (const std::exception& error) {  // grucore::Error says where in the file
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
