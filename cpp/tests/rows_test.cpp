// Any number of rows at once, in a list or all of them, gives each the bits that it has alone.
// SPDX-License-Identifier: Apache-2.0
#include "harness.h"
#include "textbook_quantized.h"

using namespace grucore_test;
using textbook::Kind;

namespace {

constexpr uint32_t kFrames = 5, kBatch = 19;

struct Case {
  textbook::WeightKind weights;
  uint32_t inputs, hidden;
  bool reset_before;
};

// A GRU and a dense layer on its states.
Bytes file_of(const Case& which, std::mt19937* random) {
  FileBuilder file;
  const uint32_t x = file.value("x", which.inputs), h = file.value("h", which.hidden), y = file.value("y", 21);
  file.input(x);
  if (which.weights.kind == Kind::kFloat32) {
    file.gru("gru", textbook::random_gru(which.inputs, which.hidden, which.reset_before, false, 3), x, h);
  } else {
    textbook::random_quantized_gru(which.weights, which.weights, which.inputs, which.hidden, which.reset_before, random)
        .put(&file, "gru", x, h);
  }
  const textbook::Matrix m =
      textbook::random_matrix(which.weights.kind, which.weights.bits, 1, 21, which.hidden, random);
  file.tensor(4, 1, m.rows, 0, textbook::Floats(m.rows, 0.25f).data());
  textbook::put_weights(&file, 5, m);
  file.node(2, "dense", {h}, y, {0, 0, 0}, 2 + textbook::put_scale(&file, 15, m));
  file.output(y);
  return file.finish();
}

// `list` of the rows of one stream, frame by frame; x and the result are (frames, batch, features).
std::vector<float> step_list(const LoadedModel& model, const std::vector<uint32_t>& list, const std::vector<float>& x) {
  const uint32_t in = grucore::input_info(model.get(), 0).features, out = grucore::output_info(model.get(), 0).features;
  OwnedStream stream(model, kBatch, 1);
  std::vector<float> y(size_t{kFrames} * kBatch * out, -7.0f);
  for (uint32_t t = 0; t < kFrames; ++t) {
    const void* input = x.data() + size_t{t} * kBatch * in;
    void* output = y.data() + size_t{t} * kBatch * out;
    CHECK(grucore::step_rows(stream.get(), &input, &output, list.data(), static_cast<uint32_t>(list.size())) == 1);
  }
  return y;
}

void check(const Case& which, std::mt19937* random) {
  const Bytes file = file_of(which, random);
  std::normal_distribution<float> normal;
  std::vector<float> x(size_t{kFrames} * kBatch * which.inputs);
  for (float& value : x) value = normal(*random);
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file, isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    const uint32_t out = grucore::output_info(model.get(), 0).features;
    std::vector<std::vector<float>> alone;
    for (uint32_t row = 0; row < kBatch; ++row) {
      std::vector<float> frames;
      for (uint32_t t = 0; t < kFrames; ++t) {
        const float* from = x.data() + (size_t{t} * kBatch + row) * which.inputs;
        frames.insert(frames.end(), from, from + which.inputs);
      }
      alone.push_back(step_all(model, kFrames, frames.data()));
    }
    const auto has = [&](const float* y, uint32_t row, uint32_t t) {
      return same_bits(y, alone[row].data() + size_t{t} * out, out);
    };
    for (uint32_t count = 1; count <= kBatch; ++count) {
      std::vector<uint32_t> list;  // some in the middle, one after the other and then turned round
      for (uint32_t i = 0; i < count; ++i) list.push_back(count % 2 ? (kBatch - count) / 2 + i : kBatch - 1 - i);
      const std::vector<float> some = step_list(model, list, x);
      std::vector<float> first_rows;  // (count, frames, inputs)
      for (uint32_t row = 0; row < count; ++row) {
        for (uint32_t t = 0; t < kFrames; ++t) {
          const float* from = x.data() + (size_t{t} * kBatch + row) * which.inputs;
          first_rows.insert(first_rows.end(), from, from + which.inputs);
        }
      }
      const std::vector<float> all = run_all(model, count, 3, kFrames, first_rows);
      for (uint32_t t = 0; t < kFrames; ++t) {
        for (const uint32_t row : list) {
          CHECK_SAYING(has(some.data() + (size_t{t} * kBatch + row) * out, row, t), "%s %s %u->%u before=%d: %u listed",
                       grucore::isa_name(isa), which.weights.name, which.inputs, which.hidden, which.reset_before,
                       count);
        }
        for (uint32_t row = 0; row < count; ++row) {
          CHECK_SAYING(has(all.data() + (size_t{row} * kFrames + t) * out, row, t), "%s %s %u->%u before=%d: batch %u",
                       grucore::isa_name(isa), which.weights.name, which.inputs, which.hidden, which.reset_before,
                       count);
        }
      }
    }
  }
}

}  // namespace

int main() {
  std::mt19937 random(7);
  const textbook::WeightKind kinds[] = {{Kind::kFloat32, 0, "float32"}, {Kind::kFloat16, 0, "float16"},
                                        {Kind::kInt8, 8, "int8/8"},     {Kind::kInt8, 16, "int8/16"},
                                        {Kind::kInt4, 8, "int4/8"},     {Kind::kInt4, 16, "int4/16"}};
  for (const textbook::WeightKind& kind : kinds) {
    for (const bool reset_before : {false, true}) {
      check({kind, 1, 16, reset_before}, &random);
      check({kind, 9, 40, reset_before}, &random);
      check({kind, 3, 28, reset_before}, &random);  // its last panel is a vector and a half, or three quarters of one
    }
    check({kind, 6, 200, false}, &random);  // in float32 more than a near cache holds
    // Whole matrices of int8 that are worth tile registers, with inputs and units that fill none of them.
    if (kind.kind == Kind::kInt8) check({kind, 70, 180, true}, &random);
    if (kind.kind == Kind::kInt8) check({kind, 70, 140, false}, &random);
  }
  return finish("rows_test");
}
