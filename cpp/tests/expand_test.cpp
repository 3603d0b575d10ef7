// A value of the whole sequence, and what is made of it, at every frame of it: exact, since it is the largest.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "harness.h"

using namespace grucore_test;

namespace {

constexpr uint32_t kFeatures = 3, kFrames = 9, kBatch = 4;

// x less its largest over time, the last frame of which is expanded once more.
Bytes expanded(uint32_t first_rate) {
  FileBuilder file;
  const uint32_t x = file.value("x", kFeatures), most = file.value("most", kFeatures, 2),
                 negative = file.value("negative", kFeatures, 2), there = file.value("there", kFeatures),
                 sum = file.value("sum", kFeatures), last = file.value("last", kFeatures, 2),
                 again = file.value("again", kFeatures);
  file.input(x);
  for (const uint32_t value : {sum, last, again}) file.output(value);
  file.node(12, "most", {x}, most, {1}, 0);
  file.node(6, "negative", {most}, negative, {4, 0xbf800000u, 0}, 0);  // below zero its absolute value
  file.node(27, "there", {first_rate ? most : x, negative}, there, {}, 0);
  file.node(10, "sum", {x, there}, sum, {0}, 0);
  file.node(3, "last", {sum}, last, {0}, 0);
  file.node(27, "again", {x, last}, again, {}, 0);
  return file.finish();
}

void check_frames() {
  const uint32_t lengths[kBatch] = {9, 4, 1, 0};
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(-2.0f, 2.0f);
  std::vector<float> x(size_t{kBatch} * kFrames * kFeatures);
  for (float& v : x) v = uniform(random);
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(expanded(0), isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    CHECK(grucore::first_unstreamable_node(model.get()) == 2);
    OwnedStream stream(model, kBatch, kFrames);
    std::vector<float> sum(x.size(), -7.0f), last(kBatch * kFeatures, -7.0f), again(x.size(), -7.0f);
    const size_t row_stride = size_t{kFrames} * kFeatures;
    const grucore::ConstSignal input = {x.data(), row_stride, kFeatures};
    const grucore::Signal outputs[3] = {
        {sum.data(), row_stride, kFeatures}, {last.data(), kFeatures, 0}, {again.data(), row_stride, kFeatures}};
    grucore::run(stream.get(), kFrames, &input, outputs, lengths);
    for (uint32_t row = 0; row < kBatch; ++row) {
      const float* in = x.data() + row * row_stride;
      for (uint32_t f = 0; f < kFeatures; ++f) {
        float most = lengths[row] ? in[f] : 0.0f;
        for (uint32_t t = 1; t < lengths[row]; ++t) most = std::max(most, in[t * kFeatures + f]);
        const float added = most < 0 ? -most : most;
        const float end = lengths[row] ? in[(lengths[row] - 1) * kFeatures + f] + added : 0.0f;
        CHECK(last[row * kFeatures + f] == end);
        for (uint32_t t = 0; t < kFrames; ++t) {
          const size_t at = row * row_stride + t * kFeatures + f;
          CHECK(sum[at] == (t < lengths[row] ? x[at] + added : 0.0f));
          CHECK(again[at] == (t < lengths[row] ? end : 0.0f));
        }
      }
    }
    const void* frame = x.data();
    void* to[3] = {sum.data(), last.data(), again.data()};
    CHECK(grucore::step(stream.get(), &frame, to) == 0);
  }
}

}  // namespace

int main() {
  check_frames();
  CHECK(LoadedModel(expanded(2), grucore::best_isa()).status() == Status::kBadShape);
  return finish("expand_test");
}
