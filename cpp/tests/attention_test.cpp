// Attention against its definition in double; the same bits from step and run, on every table, whatever has been in the
// memory before; files that cannot be.
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "harness.h"

using namespace grucore_test;

namespace {

using textbook::Floats;

Floats random_floats(size_t count, float bound, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-bound, bound);
  Floats x(count);
  for (float& v : x) v = uniform(random);
  return x;
}

Bytes bytes_of(const Floats& x) {
  Bytes bytes(x.size() * 4);
  if (!bytes.empty()) memcpy(bytes.data(), x.data(), bytes.size());
  return bytes;
}

struct Shape {
  uint32_t heads, keys, width, frames, features;
  bool additive;
  float scale;
};

struct Weights {
  Floats weight, bias, vector, initial;
};

Weights random_weights(const Shape& shape, bool has_initial) {
  const uint32_t count = shape.additive ? shape.keys : 0;
  return {random_floats(size_t{count} * shape.features, 0.5f, 1), random_floats(count, 0.5f, 2),
          random_floats(count, 0.5f, 3),
          random_floats(has_initial ? size_t{shape.frames} * shape.features : 0, 1.0f, 4)};
}

Bytes file_of(const Shape& shape, const Weights& weights) {
  FileBuilder file;
  const uint32_t x = file.value("x", shape.heads * shape.keys), y = file.value("y", shape.heads * shape.width);
  file.input(x);
  file.output(y);
  if (shape.additive) {
    file.tensor(4, 1, shape.keys, 0, weights.bias.data());
    file.tensor(5, 1, shape.keys, shape.features, weights.weight.data());
  }
  if (!weights.initial.empty()) {
    file.any_tensor({6, 0, 1, {shape.frames, shape.features, 0}, {0, 0, 0, 0}, bytes_of(weights.initial)});
  }
  if (shape.additive) file.vector_tensor(8, weights.vector);
  uint32_t scale = 0;
  memcpy(&scale, &shape.scale, sizeof scale);
  file.node(25, "attention", {x}, y,
            {shape.additive ? 1u : 0u, shape.heads, shape.frames, shape.features, shape.width, scale},
            (shape.additive ? 3 : 0) + (weights.initial.empty() ? 0 : 1));
  return file.finish();
}

double score_of(const Shape& shape, const Weights& weights, const float* query, const float* frame) {
  double sum = 0;
  for (uint32_t k = 0; k < shape.keys; ++k) {
    if (!shape.additive) {
      sum += static_cast<double>(query[k]) * frame[k];
      continue;
    }
    double key = weights.bias[k];
    for (uint32_t f = 0; f < shape.features; ++f) {
      key += static_cast<double>(weights.weight[size_t{k} * shape.features + f]) * frame[f];
    }
    sum += weights.vector[k] * tanh(query[k] + key);
  }
  return shape.scale * sum;
}

std::vector<double> expected_of(const Shape& shape, const Weights& weights, const Floats& memory, uint32_t length,
                                const float* x) {
  std::vector<double> y(size_t{shape.heads} * shape.width, 0.0);
  for (uint32_t head = 0; head < shape.heads && length > 0; ++head) {
    std::vector<double> shares;
    double total = 0;
    for (uint32_t j = 0; j < length; ++j) {
      const float* frame = memory.data() + size_t{j} * shape.features;
      shares.push_back(exp(score_of(shape, weights, x + size_t{head} * shape.keys, frame)));
      total += shares.back();
    }
    for (uint32_t j = 0; j < length; ++j) {
      for (uint32_t i = 0; i < shape.width; ++i) {
        const double value = memory[size_t{j} * shape.features + (shape.features - shape.width) + i];
        y[size_t{head} * shape.width + i] += shares[j] / total * value;
      }
    }
  }
  return y;
}

uint32_t counted(float length, uint32_t frames) {
  if (!(length >= 1)) return 0;
  return length >= static_cast<float>(frames) ? frames : static_cast<uint32_t>(length);
}

// Memories of several lengths, one after the other in one stream.
void check_shape(const Shape& shape) {
  constexpr uint32_t kFrames = 5, kBatch = 3;
  const Weights weights = random_weights(shape, false);
  const size_t in = size_t{shape.heads} * shape.keys, out = size_t{shape.heads} * shape.width;
  const Floats x = random_floats(kFrames * in, 1.0f, 7);
  const float lengths[] = {
      static_cast<float>(shape.frames),    0.0f, 1.5f, -3.0f, 1e30f, std::numeric_limits<float>::quiet_NaN(),
      static_cast<float>(shape.frames / 2)};
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file_of(shape, weights), isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    OwnedStream stream(model, kBatch, 1);
    for (size_t round = 0; round < 7; ++round) {
      const Floats memory = random_floats(size_t{shape.frames} * shape.features, 1.0f, static_cast<uint32_t>(round));
      grucore::set_state(stream.get(), 0, 1, memory.data());
      grucore::set_state(stream.get(), 1, 1, &lengths[round]);
      for (uint32_t frame = 0; frame < kFrames; ++frame) {
        Floats inputs(kBatch * in, 0.5f), outputs(kBatch * out, 9.0f);
        memcpy(inputs.data() + in, x.data() + frame * in, in * 4);
        const void* input = inputs.data();
        void* output = outputs.data();
        grucore::step(stream.get(), &input, &output);
        CHECK(outputs[0] == 0.0f && outputs.back() == 0.0f);  // rows whose memory is empty
        const std::vector<double> want =
            expected_of(shape, weights, memory, counted(lengths[round], shape.frames), inputs.data() + in);
        for (size_t i = 0; i < out; ++i) {
          CHECK_SAYING(fabs(outputs[out + i] - want[i]) < 2e-6, "%u frames, %s: %g, expected %g", shape.frames,
                       grucore::isa_name(isa), outputs[out + i], want[i]);
        }
      }
    }
  }
}

// From a memory of the file: streams, blocks, batches, tables.
void check_bits(const Shape& shape) {
  constexpr uint32_t kFrames = 7, kBatch = 3;
  const Weights weights = random_weights(shape, true);
  const size_t out = size_t{shape.heads} * shape.width;
  const Floats x = random_floats(size_t{kBatch} * kFrames * shape.heads * shape.keys, 1.0f, 9);
  Floats first[2];
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file_of(shape, weights), isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    const Floats y = run_all(model, kBatch, 4, kFrames, x);
    Floats& of_class = first[grucore::model_numerics(model.get()) == grucore::Numerics::kFused ? 1 : 0];
    if (of_class.empty()) of_class = y;
    CHECK_SAYING(same_bits(of_class.data(), y.data(), y.size()), "%s", grucore::isa_name(isa));
    CHECK(same_bits(run_all(model, kBatch, 1, kFrames, x).data(), y.data(), y.size()));
    CHECK(same_bits(step_all(model, kFrames, x.data()).data(), y.data(), kFrames * out));
    const std::vector<double> want = expected_of(shape, weights, weights.initial, shape.frames, x.data());
    for (size_t i = 0; i < out; ++i) CHECK(fabs(y[i] - want[i]) < 2e-6);
  }
}

struct Hostile {
  Status status;
  const char* what;
  std::vector<uint32_t> words;
  uint32_t in, out, rows;
};

void check_hostile() {
  const uint32_t one = 0x3f800000;
  const Hostile files[] = {
      {Status::kOk, "fine", {0, 2, 3, 4, 2, one}, 8, 4, 3},
      {Status::kBadAttribute, "another score", {2, 2, 3, 4, 2, one}, 8, 4, 3},
      {Status::kBadAttribute, "no heads", {0, 0, 3, 4, 2, one}, 8, 4, 3},
      {Status::kBadAttribute, "no frames", {0, 2, 0, 4, 2, one}, 8, 4, 3},
      {Status::kBadAttribute, "too many frames", {0, 2, 65537, 4, 2, one}, 8, 4, 3},
      {Status::kBadAttribute, "no features", {0, 2, 3, 0, 2, one}, 8, 4, 3},
      {Status::kBadAttribute, "more values than features", {0, 2, 3, 4, 5, one}, 8, 10, 3},
      {Status::kBadAttribute, "an infinite scale", {0, 2, 3, 4, 2, 0x7f800000}, 8, 4, 3},
      {Status::kBadAttribute, "too large a memory", {0, 1, 65536, 8192, 2, one}, 8, 2, 3},
      {Status::kBadShape, "queries that do not divide", {0, 3, 3, 4, 2, one}, 8, 6, 3},
      {Status::kBadShape, "queries wider than the memory", {0, 1, 3, 4, 2, one}, 8, 2, 3},
      {Status::kBadShape, "another width of the output", {0, 2, 3, 4, 2, one}, 8, 5, 3},
      {Status::kBadShape, "a short memory", {0, 2, 3, 4, 2, one}, 8, 4, 2},
      {Status::kMissingTensor, "additive without keys", {1, 1, 3, 4, 2, one}, 8, 2, 3},
  };
  for (const Hostile& h : files) {
    FileBuilder file;
    const uint32_t x = file.value("x", h.in), y = file.value("y", h.out);
    file.input(x);
    file.output(y);
    file.any_tensor({6, 0, 1, {h.rows, 4, 0}, {0, 0, 0, 0}, bytes_of(Floats(size_t{h.rows} * 4, 0.5f))});
    file.node(25, "attention", {x}, y, h.words, 1);
    const LoadedModel model(file.finish(), grucore::best_isa());
    CHECK_SAYING(model.status() == h.status, "%s: %s", h.what, grucore::status_name(model.status()));
  }
}

}  // namespace

int main() {
  for (const bool additive : {false, true}) {
    for (const uint32_t frames : {1u, 5u, 33u}) {
      const Shape shape = {additive ? 1u : 3u, additive ? 19u : 7u, 9, frames, 11, additive, 0.5f};
      check_shape(shape);
      check_bits(shape);
    }
  }
  check_shape({1, 64, 64, 20, 64, false, 0.125f});
  check_bits({2, 16, 33, 70, 33, false, 1.0f});
  check_hostile();
  return finish("attention_test");
}
