// One stream gives the same bits whichever calls take its frames in, and a reverse GRU those of a forward one on frames
// that are turned round.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "harness.h"
#include "textbook_quantized.h"

using namespace grucore_test;
using textbook::Kind;

namespace {

constexpr uint32_t kBatch = 6, kFrames = 24;

struct Case {
  textbook::WeightKind weights;
  uint32_t inputs, hidden;
  bool reset_before;
};

Bytes file_of(const Case& which, bool reverse) {
  FileBuilder file;
  const uint32_t x = file.value("x", which.inputs), h = file.value("h", which.hidden);
  file.input(x);
  if (which.weights.kind == Kind::kFloat32) {
    file.gru("gru", textbook::random_gru(which.inputs, which.hidden, which.reset_before, reverse, 5), x, h);
  } else {
    std::mt19937 random(5);
    textbook::QuantizedGru gru = textbook::random_quantized_gru(which.weights, which.weights, which.inputs,
                                                                which.hidden, which.reset_before, &random);
    gru.reverse = reverse;
    gru.put(&file, "gru", x, h);
  }
  file.output(h);
  return file.finish();
}

// The frames of each row, and what they gave so far.
struct Rows {
  const Case& which;
  std::vector<float> x;  // (batch, kFrames, inputs)
  std::vector<std::vector<float>> y{kBatch};
  std::vector<uint32_t> seen = std::vector<uint32_t>(kBatch);

  const float* next(uint32_t row) const { return x.data() + (size_t{row} * kFrames + seen[row]) * which.inputs; }

  void run(grucore::Stream* stream, uint32_t frames, const uint32_t* lengths) {
    std::vector<float> in(size_t{kBatch} * frames * which.inputs), out(size_t{kBatch} * frames * which.hidden);
    for (uint32_t row = 0; row < kBatch; ++row) {
      const uint32_t count = lengths ? lengths[row] : frames;
      std::copy_n(next(row), size_t{count} * which.inputs, in.data() + size_t{row} * frames * which.inputs);
    }
    // A stride between frames means nothing where there is one frame.
    const size_t apart = frames == 1 ? SIZE_MAX / 8 : 0;
    const grucore::ConstSignal input = {in.data(), size_t{frames} * which.inputs, apart ? apart : which.inputs};
    const grucore::Signal output = {out.data(), size_t{frames} * which.hidden, apart ? apart : which.hidden};
    grucore::run(stream, frames, &input, &output, lengths);
    for (uint32_t row = 0; row < kBatch; ++row) {
      const uint32_t count = lengths ? lengths[row] : frames;
      const float* from = out.data() + size_t{row} * frames * which.hidden;
      y[row].insert(y[row].end(), from, from + size_t{count} * which.hidden);
      seen[row] += count;
    }
  }
  void step(grucore::Stream* stream, const std::vector<uint32_t>& list) {
    std::vector<float> in(size_t{kBatch} * which.inputs), out(size_t{kBatch} * which.hidden);
    for (const uint32_t row : list) std::copy_n(next(row), which.inputs, in.data() + size_t{row} * which.inputs);
    const void* input = in.data();
    void* output = out.data();
    const uint32_t count = static_cast<uint32_t>(list.size());
    CHECK((count == kBatch ? grucore::step(stream, &input, &output)
                           : grucore::step_rows(stream, &input, &output, list.data(), count)) == 1);
    for (const uint32_t row : list) {
      const float* from = out.data() + size_t{row} * which.hidden;
      y[row].insert(y[row].end(), from, from + which.hidden);
      ++seen[row];
    }
  }
};

std::vector<float> random_frames(const Case& which) {
  std::mt19937 random(6);
  std::normal_distribution<float> normal;
  std::vector<float> x(size_t{kBatch} * kFrames * which.inputs);
  for (float& value : x) value = normal(random);
  return x;
}

void check_calls(const Case& which, Isa isa, const LoadedModel& model, const std::vector<float>& x) {
  const OwnedStream stream(model, kBatch, 3);
  Rows rows = {which, x};
  const uint32_t ragged[kBatch] = {4, 0, 2, 3, 1, 4}, even[kBatch] = {2, 2, 2, 2, 2, 2};
  rows.run(stream.get(), 5, nullptr);
  rows.run(stream.get(), 4, ragged);
  rows.step(stream.get(), {0, 1, 2, 3, 4, 5});
  rows.run(stream.get(), 1, nullptr);
  rows.step(stream.get(), {1, 4});
  rows.run(stream.get(), 2, even);
  rows.run(stream.get(), 4, nullptr);
  rows.step(stream.get(), {2});
  rows.run(stream.get(), 3, nullptr);
  for (uint32_t row = 0; row < kBatch; ++row) {
    const std::vector<float> alone = step_all(model, rows.seen[row], x.data() + size_t{row} * kFrames * which.inputs);
    CHECK_SAYING(same_bits(rows.y[row].data(), alone.data(), alone.size()), "%s %s %u->%u before=%d: row %u",
                 grucore::isa_name(isa), which.weights.name, which.inputs, which.hidden, which.reset_before, row);
  }
}

void check_reverse(const Case& which, Isa isa, const LoadedModel& forward, const std::vector<float>& x) {
  const Bytes file = file_of(which, true);
  const LoadedModel backward(file, isa);
  if (!CHECK(backward.status() == Status::kOk)) return;
  std::vector<float> turned(x.size());
  for (uint32_t row = 0; row < kBatch; ++row) {
    for (uint32_t t = 0; t < kFrames; ++t) {
      std::copy_n(x.data() + (size_t{row} * kFrames + t) * which.inputs, which.inputs,
                  turned.data() + (size_t{row} * kFrames + kFrames - 1 - t) * which.inputs);
    }
  }
  for (const uint32_t batch : {1u, 2u, kBatch}) {
    const std::vector<float> y = run_all(backward, batch, kFrames, kFrames, x);
    for (uint32_t row = 0; row < batch; ++row) {
      const std::vector<float> alone = step_all(forward, kFrames, turned.data() + size_t{row} * kFrames * which.inputs);
      for (uint32_t t = 0; t < kFrames; ++t) {
        CHECK_SAYING(same_bits(y.data() + (size_t{row} * kFrames + t) * which.hidden,
                               alone.data() + size_t{kFrames - 1 - t} * which.hidden, which.hidden),
                     "%s %s %u->%u before=%d: reverse, batch %u, row %u, frame %u", grucore::isa_name(isa),
                     which.weights.name, which.inputs, which.hidden, which.reset_before, batch, row, t);
      }
    }
  }
}

}  // namespace

int main() {
  const textbook::WeightKind kinds[] = {{Kind::kFloat32, 0, "float32"},
                                        {Kind::kFloat16, 0, "float16"},
                                        {Kind::kInt8, 8, "int8/8"},
                                        {Kind::kInt8, 16, "int8/16"},
                                        {Kind::kInt4, 8, "int4/8"}};
  for (const textbook::WeightKind& kind : kinds) {
    for (const bool reset_before : {false, true}) {
      for (const uint32_t inputs : {2u, 9u}) {  // few ones are multiplied in the step
        const Case which = {kind, inputs, 28, reset_before};
        const Bytes file = file_of(which, false);
        const std::vector<float> x = random_frames(which);
        for (const Isa isa : supported_isas()) {
          const LoadedModel model(file, isa);
          if (!CHECK(model.status() == Status::kOk)) continue;
          check_calls(which, isa, model, x);
          check_reverse(which, isa, model, x);
        }
      }
    }
  }
  return finish("calls_test");
}
